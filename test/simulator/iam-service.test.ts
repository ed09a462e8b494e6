/** The whole service under the policies of its own template: nothing is missing, and a missing permission shows. */
import { EC2Client, RebootInstancesCommand, StopInstancesCommand } from '@aws-sdk/client-ec2';
import { credentialsFor } from '../../simulator/cloud.ts';
import type { Statement } from '../../simulator/iam/policy.ts';
import { inProcessHandler } from '../../simulator/in-process.ts';
import { type Deployed, demoPolicy, HOME, sweepUnder, synthesizedRoles } from './iam-deployed.ts';

const INSTANCES = 60;
const policy = demoPolicy(INSTANCES);
const roles = synthesizedRoles(policy);

/** Statements that this run has no use for, by why. */
const UNUSED: Readonly<Record<string, readonly string[]>> = {
  'Lambda uses them beside the API: logs, checkpoints, dead letters, and the start of the next durable function': [
    'OwnLog',
    'Checkpoints',
    'DeadLetters',
    'StartCell',
    'StartRestart',
  ],
  'nobody asked how far a run is, and no other run held a lease': ['WatchOwn', 'WatchRestarts', 'WatchSweeps'],
  'CloudFormation has it called at the first deployment': ['CreateRegistry'],
  'no encrypted volume among these instances': ['ReadKeys', 'TestGrants', 'StartOnKeys'],
  'reconcile had nothing to bring back': ['reconcile/StartOurs', 'reconcile/UnmarkStopped', 'reconcile/Notify'],
};

function without(role: string, sid: string) {
  return roles.map((one) =>
    one.name === role ? { ...one, statements: one.statements.filter((s: Statement) => s.sid !== sid) } : one,
  );
}

describe('a sweep that acts, with all its permissions', () => {
  let done: Deployed;
  beforeAll(async () => {
    done = await sweepUnder(roles, policy, INSTANCES);
  }, 120_000);

  it('is denied nothing, and nothing it asks is unknown to the model', () => {
    expect(done.iam.denials).toEqual([]);
    expect(done.iam.errors).toEqual([]);
  });

  it('resizes and restarts', () => {
    expect(done.report.complete).toBe(true);
    expect(done.report.totals.resized).toBeGreaterThan(4);
    expect(done.report.totals.restarted).toBeGreaterThan(1);
    expect(done.report.totals.failed).toBe(0);
  });

  it('uses every statement, but for those listed', () => {
    const explained = Object.values(UNUSED).flat();
    const left = done.iam
      .unused()
      .filter((name) => !name.includes('Schedules'))
      .filter((name) => !explained.some((one) => name.endsWith(`/${one}`)));
    expect(left).toEqual([]);
  });

  it('could not stop or reboot what was not opted in or is opted out, even if it tried', async () => {
    const { cloud } = done.service;
    const tagged = (found: (tags: ReadonlyMap<string, string>) => boolean) =>
      cloud.list(HOME.accountId, HOME.region).filter(({ state, tags }) => state === 'running' && found(tags));
    const allowed = (tags: ReadonlyMap<string, string>) => tags.get('AuditBacklogRestart') === 'allowed';
    const out = (tags: ReadonlyMap<string, string>) => tags.get('AuditBacklogRemediation') === 'disabled';
    const plain = tagged((tags) => !allowed(tags) && !out(tags));
    const opted = tagged((tags) => allowed(tags) && !out(tags));
    const optedOut = tagged(out);
    expect(Math.min(plain.length, opted.length, optedOut.length)).toBeGreaterThan(0);
    const client = (role: string) =>
      new EC2Client({
        region: HOME.region,
        maxAttempts: 1,
        credentials: credentialsFor(HOME.accountId, role),
        requestHandler: inProcessHandler(cloud),
      });
    const answerTo = async (role: string, id: string) => {
      const input = { InstanceIds: [id], DryRun: true };
      const answers = [];
      for (const command of [new StopInstancesCommand(input), new RebootInstancesCommand(input)]) {
        answers.push(
          await client(role)
            .send(command as StopInstancesCommand)
            .then(
              () => 'done',
              (error) => error.name,
            ),
        );
      }
      return answers;
    };
    for (const { instanceId } of [...plain.slice(0, 3), ...optedOut]) {
      expect(await answerTo('restart', instanceId)).toEqual(['UnauthorizedOperation', 'UnauthorizedOperation']);
    }
    for (const { instanceId } of opted.slice(0, 3)) {
      expect(await answerTo('restart', instanceId)).toEqual(['DryRunOperation', 'DryRunOperation']);
      // No other function may, whatever the tags say.
      for (const role of ['run', 'sweep', 'cell', 'reconcile']) {
        expect(await answerTo(role, instanceId)).toEqual(['UnauthorizedOperation', 'UnauthorizedOperation']);
      }
    }
  });
});

it.each([
  ['restart', 'Stop', 'ec2:StopInstances'],
  ['cell', 'SendToInstances', 'ssm:SendCommand'],
])(
  'without %s/%s the sweep is denied %s, acts less and says so',
  async (role, sid, action) => {
    const { iam, report } = await sweepUnder(without(role, sid), policy, INSTANCES);
    expect(new Set(iam.denials.map((denial) => `${denial.principal} ${denial.action}`))).toEqual(
      new Set([`${role} ${action}`]),
    );
    expect(report.complete).toBe(false);
    expect(JSON.stringify(report)).toMatch(/UnauthorizedOperation|AccessDenied/);
  },
  120_000,
);
