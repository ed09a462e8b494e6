/**
 * Four accounts under the policies of the synthesized templates, trust policies included: the service's own, one that is
 * as it should be, one whose role asks for another external id, one in which nobody deployed the document.
 */
import { SimulatedService } from '../../cli/simulated-service.ts';
import type { RunReport } from '../../domain/contracts.ts';
import type { PolicyInput } from '../../domain/policy.ts';
import { Random } from '../../simulator/core.ts';
import { createLinuxMachine } from '../../simulator/guest/machine.ts';
import { Iam } from '../../simulator/iam/authoriser.ts';
import { rolesOf } from '../../simulator/iam/template.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';
import { appWith, templateOf } from '../lib/synth.ts';
import { synthesizedRoles } from '../simulator/iam-deployed.ts';
import { healthyMachine, hungMachine, NOW, overflowedMachine, type SmallMachine } from '../support/small-world.ts';

const HUB = '111122223333';
const MEMBER = '444455556666';
const STRICT = '777788889999';
const UNPREPARED = '222233334444';
const REGION = 'eu-west-1';
const SEED = 5;
const EXTERNAL_ID = 'fleet-42';
const ORGANIZATION = 'o-a1b2c3d4e5';
const memberRole = { name: 'Backlog', path: '/ops/', externalId: EXTERNAL_ID, organizationId: ORGANIZATION };
const ACCOUNTS = [HUB, MEMBER, STRICT, UNPREPARED];
const policy: PolicyInput = { mode: 'apply', scope: { accounts: ACCOUNTS, regions: [REGION] } };

/** The policies of all roles, as deployed; in one account by somebody who mistyped the external id. */
function deployedPolicies(): Iam {
  const iam = new Iam();
  for (const { name, statements } of synthesizedRoles(policy, { memberRole })) {
    const arn = `arn:aws:iam::${HUB}:role/AuditBacklogRemediation-${name}`;
    iam.addRole(HUB, name, statements, { arn, organizationId: ORGANIZATION });
  }
  for (const account of [MEMBER, STRICT, UNPREPARED]) {
    const externalId = account === STRICT ? 'fleet-24' : EXTERNAL_ID;
    const app = appWith({
      account: HUB,
      region: REGION,
      documentName: 'audit-backlog-resize',
      memberRole: { ...memberRole, externalId },
      policy,
    });
    const template = templateOf(app, `AuditBacklogRemediation-Member-${account}`).toJSON();
    const [role] = rolesOf(template, { accountId: account, region: REGION, physicalName: () => undefined });
    if (!role) throw new Error(`no role for ${account}`);
    const arn = `arn:aws:iam::${account}:role/ops/${role.name}`;
    iam.addRole(account, role.name, role.statements, { arn, trust: role.trust });
  }
  return iam;
}

class Accounts {
  readonly iam = deployedPolicies();
  readonly service = new SimulatedService({
    seed: SEED,
    policy,
    home: { accountId: HUB, region: REGION },
    authorise: this.iam.authorise,
    memberRole: { name: 'ops/Backlog', externalId: EXTERNAL_ID },
    unprepared: [UNPREPARED],
  });

  constructor() {
    const { cloud } = this.service;
    for (const accountId of [MEMBER, STRICT, UNPREPARED]) {
      cloud.addRole({ accountId, name: 'Backlog', path: '/ops/', trustedAccounts: [HUB] });
    }
    for (const accountId of ACCOUNTS) {
      this.#add(accountId, 'a', overflowedMachine());
      this.#add(accountId, 'b', hungMachine());
      for (const id of ['c', 'd', 'e', 'f']) this.#add(accountId, id, healthyMachine());
    }
  }

  #add(accountId: string, letter: string, { guest = {}, instance = {} }: SmallMachine): void {
    const { cloud, log } = this.service;
    const instanceId = `i-${accountId}${letter.repeat(5)}`;
    const launchTime = NOW - 30 * 24 * 3_600_000 - 130_000;
    const identity = { instanceId, accountId, region: REGION, hostname: `ip-${accountId}` };
    const profile = { distribution: 'al2023', memoryKiB: 8_000_000, ...guest } as const;
    const machine = createLinuxMachine(profile, new Random(SEED).fork(instanceId), log, identity);
    machine.powerOn(launchTime);
    const type = { instanceType: 'm5.large', imageId: 'ami-0a' };
    cloud.addInstance(cloud.cell(accountId, REGION), { ...type, ...instance, instanceId, launchTime }, machine);
  }

  /** Power changes in an account, and commands that its instances took. */
  touched(accountId: string): readonly string[] {
    return this.service.log.events
      .filter(({ kind, instanceId }) => kind === 'power' && instanceId?.startsWith(`i-${accountId}`))
      .map(({ what }) => what);
  }
}

describe('a sweep over four accounts', () => {
  let world: Accounts;
  let report: RunReport;
  beforeAll(async () => {
    const time = VirtualTime.install({ seed: SEED, start: NOW });
    try {
      world = new Accounts();
      let ended = false;
      const life = world.service.run({ mode: 'apply' }).finally(() => {
        ended = true;
      });
      life.catch(() => undefined);
      await time.drive(() => ended, { pending: () => world.service.engine.pending() });
      report = await life;
    } finally {
      time.uninstall();
    }
  }, 120_000);
  const cellOf = (accountId: string) => report.cells.find((cell) => cell.accountId === accountId);
  const results = (accountId: string) =>
    report.actions.filter((one) => one.accountId === accountId).map(({ outcome }) => outcome?.result);

  it('cures in the own account and through the role of the other one', () => {
    for (const account of [HUB, MEMBER]) {
      expect(cellOf(account)).toMatchObject({ status: 'done', instances: 6, affected: 2, errors: [] });
      expect(results(account)).toEqual(['resized', 'resized']);
      expect(world.touched(account)).toEqual(expect.arrayContaining(['stopping', 'pending']));
    }
  });

  it('reports the account whose role refuses the external id, and touches nothing there', () => {
    expect(report.complete).toBe(false);
    expect(cellOf(STRICT)).toMatchObject({ status: 'not-ready', instances: 0 });
    expect(cellOf(STRICT)?.errors[0]).toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('is not authorized to perform: sts:AssumeRole'),
      next: expect.stringContaining('member role'),
    });
    expect(world.touched(STRICT)).toEqual([]);
  });

  it('reports the account without the document, and touches nothing there', () => {
    expect(cellOf(UNPREPARED)).toMatchObject({ status: 'not-ready' });
    expect(cellOf(UNPREPARED)?.errors[0]?.next).toMatch(/deploy/i);
    expect(world.touched(UNPREPARED)).toEqual([]);
  });

  it('is denied nothing but that one role, and nothing it asks is unknown to the model', () => {
    expect(world.iam.errors).toEqual([]);
    expect(
      new Set(world.iam.denials.map(({ action, resource, deniedBy }) => `${action} ${resource} ${deniedBy}`)),
    ).toEqual(new Set([`sts:AssumeRole arn:aws:iam::${STRICT}:role/ops/Backlog trust`]));
  });

  it('assumes the role as cell, restart and reconcile, each by its own permission', () => {
    const unused = world.iam.unused();
    for (const name of ['cell', 'restart', 'reconcile'])
      expect(unused).not.toContain(`${HUB}/${name}/AssumeMemberRole`);
    expect(unused).not.toContain(`${MEMBER}/Backlog/Stop`);
  });
});
