/** Settings -> stacks. */
import { App, type AppProps } from 'aws-cdk-lib';
import { parseInput } from '../domain/validation.ts';
import { CellStack, MemberRoleStack, SERVICE_STACK } from './cell-stack.ts';
import { CONTEXT_KEY, readSettings, type Settings, settingsSchema } from './settings.ts';
import { AuditBacklogRemediationStack } from './stack.ts';

/**
 * The service's stack; one {@link CellStack} for every other account and region in the policy's scope; one
 * {@link MemberRoleStack} for every other account. Nothing named: one stack, for whatever account and region the CDK is
 * pointed at.
 *
 * @throws InvalidInputError with one line naming every wrong setting.
 */
export function buildApp(props: AppProps = {}): App {
  const app = new App(props);
  const input = readSettings(app.node.tryGetContext(CONTEXT_KEY));
  const settings = parseInput(settingsSchema, input, CONTEXT_KEY);
  const { account, region } = settings;

  new AuditBacklogRemediationStack(app, SERVICE_STACK, {
    settings: input,
    env: { ...(account ? { account } : {}), ...(region ? { region } : {}) },
  });
  for (const cell of otherCells(settings)) {
    new CellStack(app, `${SERVICE_STACK}-Cell-${[cell.account, cell.region].filter(Boolean).join('-')}`, {
      settings,
      env: cell,
    });
  }
  if (account) {
    for (const member of settings.policy.scope.accounts.filter((id) => id !== account)) {
      new MemberRoleStack(app, `${SERVICE_STACK}-Member-${member}`, {
        settings: { ...settings, account },
        env: { account: member, ...(region ? { region } : {}) },
      });
    }
  }
  return app;
}

/** Every account and region in scope but the service's own, which holds its document itself. */
function otherCells(settings: Settings): { account?: string; region?: string }[] {
  const { account, region } = settings;
  const accounts = settings.policy.scope.accounts.length > 0 ? settings.policy.scope.accounts : [account];
  const regions = settings.policy.scope.regions.length > 0 ? settings.policy.scope.regions : [region];
  return accounts
    .flatMap((a) => regions.map((r) => ({ account: a, region: r })))
    .filter((cell) => cell.account !== account || cell.region !== region)
    .map((cell) => ({
      ...(cell.account ? { account: cell.account } : {}),
      ...(cell.region ? { region: cell.region } : {}),
    }));
}
