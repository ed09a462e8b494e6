import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PolicyInput, policySchema } from '../../domain/policy.ts';
import { EVENT_SOURCE as SENT } from '../../lambdas/aws/news.ts';
import { bringBack, type Fleet, power, readFleet, runCommand, statusTag } from '../../lib/fleet-permissions.ts';
import { EVENT_SOURCE, type Hub, invoke, watchOwn } from '../../lib/hub-permissions.ts';
import type { Permission } from '../../lib/permission.ts';
import { FUNCTION_NAMES, memberPermissions, permissionsOf } from '../../lib/permissions.ts';
import { PERMISSIONS_DOC, permissionsDocument } from '../../lib/permissions-doc.ts';

const fleet = (policy: PolicyInput = {}, more: Partial<Fleet> = {}): Fleet => ({
  partition: 'aws',
  accountId: '111122223333',
  regions: ['eu-west-1'],
  documentName: 'Doc',
  policy: policySchema.parse({ mode: 'apply', ...policy }),
  resolved: true,
  ...more,
});
const hub = (more: Partial<Hub> = {}): Hub => ({
  tableArn: 'table',
  serviceLogArn: 'log:*',
  topicArn: 'topic',
  eventBusArn: 'bus',
  deadLetterArn: 'queue',
  memberRoleArns: [],
  calendarArns: [],
  readsAlarms: false,
  ...more,
});
const byAction = (rows: readonly Permission[], action: string) => rows.filter((row) => row.actions.includes(action));
const sids = (rows: readonly Permission[]) => rows.map((row) => row.sid);

const everything = FUNCTION_NAMES.flatMap((name) =>
  permissionsOf(
    name,
    hub({ memberRoleArns: ['role'], calendarArns: ['calendar'], readsAlarms: true }),
    fleet({ restart: { policy: 'any' } }),
  ),
);

describe('every row', () => {
  it.each(everything.map((row) => [row.sid, row] as const))('%s names its actions and says why', (_, row) => {
    expect(row.actions.length).toBeGreaterThan(0);
    for (const action of row.actions) expect(action).toMatch(/^[a-z0-9]+:[A-Z][A-Za-z]+$/);
    expect(row.reason.length).toBeGreaterThan(20);
    expect(row.sid).toMatch(/^[A-Za-z0-9]+$/);
  });

  it('is on everything only where AWS takes no resource, and then only reads', () => {
    const broad = everything.filter((row) => row.resources.includes('*'));
    expect(broad.length).toBeGreaterThan(0);
    for (const action of broad.flatMap((row) => row.actions)) {
      expect(action).toMatch(
        /^(ec2:Describe|ssm:(DescribeInstanceInformation|List|GetCommandInvocation)|cloudwatch:DescribeAlarms)/,
      );
    }
    for (const row of broad.filter((r) => !r.actions.includes('cloudwatch:DescribeAlarms'))) {
      expect(row.conditions?.StringEquals?.['aws:RequestedRegion']).toEqual(['eu-west-1']);
    }
  });

  it('has an id of its own within a role', () => {
    for (const name of FUNCTION_NAMES) {
      const ids = sids(
        permissionsOf(name, hub({ memberRoleArns: ['r'], calendarArns: ['c'], readsAlarms: true }), fleet()),
      );
      expect(new Set(ids).size).toBe(ids.length);
    }
  });
});

describe('power', () => {
  const optIn = { 'aws:ResourceTag/AuditBacklogRestart': 'allowed' };
  const notOut = { 'aws:ResourceTag/AuditBacklogRemediation': 'disabled' };

  it.each(['ec2:StopInstances', 'ec2:RebootInstances'])('%s needs the opt-in and no opt-out', (action) => {
    const rows = byAction(power(fleet()), action);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.conditions).toEqual({ StringEquals: optIn, StringNotEqualsIgnoreCase: notOut });
    expect(rows[0]?.resources).toEqual(['arn:aws:ec2:eu-west-1:111122223333:instance/*']);
  });

  it('starts only where our tag stands, whatever else does', () => {
    const [row] = byAction(power(fleet()), 'ec2:StartInstances');
    expect(row?.conditions).toEqual({ Null: { 'aws:ResourceTag/AuditBacklogStopped': 'false' } });
  });

  it('sets the mark only where it may stop, and no other tag', () => {
    const [row] = byAction(power(fleet()), 'ec2:CreateTags');
    expect(row?.conditions).toEqual({
      'ForAllValues:StringEquals': { 'aws:TagKeys': ['AuditBacklogStopped'] },
      Null: { 'aws:TagKeys': 'false' },
      StringEquals: optIn,
      StringNotEqualsIgnoreCase: notOut,
    });
  });

  it('under any needs no opt-in, but respects another word than allowed; the opt-out stays', () => {
    for (const action of ['ec2:StopInstances', 'ec2:RebootInstances']) {
      const [row] = byAction(power(fleet({ restart: { policy: 'any' } })), action);
      expect(row?.conditions).toEqual({ StringEqualsIfExists: optIn, StringNotEqualsIgnoreCase: notOut });
    }
  });

  it('is nothing where the policy says never; what was stopped before still comes back', () => {
    const never = fleet({ restart: { policy: 'never' } });
    expect(power(never)).toEqual([]);
    expect(sids(permissionsOf('reconcile', hub(), never))).toEqual(
      expect.arrayContaining(['StartOurs', 'UnmarkStopped']),
    );
    const actions = FUNCTION_NAMES.flatMap((name) => permissionsOf(name, hub(), never)).flatMap((row) => row.actions);
    expect(actions).not.toContain('ec2:StopInstances');
    expect(actions).not.toContain('ec2:RebootInstances');
  });

  it('follows the method', () => {
    const only = power(fleet({ restart: { method: 'reboot-only' } })).flatMap((row) => row.actions);
    expect(only).toEqual(['ec2:RebootInstances']);
    const stopOnly = power(fleet({ restart: { method: 'stop-start', rebootWhereStopLoses: false } }));
    expect(byAction(stopOnly, 'ec2:RebootInstances')).toEqual([]);
    expect(byAction(stopOnly, 'ec2:StopInstances')).toHaveLength(1);
  });

  it('differs by region where the policy does', () => {
    const rows = power(
      fleet(
        { overrides: [{ regions: ['eu-central-1'], restart: { policy: 'never' } }] },
        { regions: ['eu-west-1', 'eu-central-1'] },
      ),
    );
    const [stop] = byAction(rows, 'ec2:StopInstances');
    expect(stop?.resources).toEqual(['arn:aws:ec2:eu-west-1:111122223333:instance/*']);
    const mixed = power(
      fleet(
        { overrides: [{ regions: ['eu-central-1'], restart: { policy: 'any' } }] },
        { regions: ['eu-west-1', 'eu-central-1'] },
      ),
    );
    const stops = byAction(mixed, 'ec2:StopInstances');
    expect(stops.map((row) => [row.resources, Boolean(row.conditions?.StringEquals)])).toEqual([
      [['arn:aws:ec2:eu-west-1:111122223333:instance/*'], true],
      [['arn:aws:ec2:eu-central-1:111122223333:instance/*'], false],
    ]);
    expect(new Set(sids(mixed)).size).toBe(mixed.length);
  });

  it('covers every override that may apply where the account is not known yet', () => {
    const rows = power(
      fleet(
        { restart: { policy: 'never' }, overrides: [{ accounts: ['999999999999'], restart: { policy: 'tagged' } }] },
        { accountId: '<token>', resolved: false },
      ),
    );
    expect(byAction(rows, 'ec2:StopInstances')[0]?.conditions?.StringEquals).toEqual(optIn);
  });

  it('takes the tag names from the policy', () => {
    const tags = { optOut: 'Keep', restart: 'Go', stopped: 'Down', status: 'State' };
    const text = JSON.stringify([
      ...power(fleet({ tags })),
      ...statusTag(fleet({ tags })),
      ...runCommand(fleet({ tags })),
    ]);
    for (const key of Object.values(tags)) expect(text).toContain(key);
    expect(text).not.toContain('AuditBacklog');
  });
});

describe('mode plan', () => {
  it('permits nothing that touches an instance, but to bring back what was stopped before', () => {
    const plan = fleet({ mode: 'plan', restart: { policy: 'any' } });
    // What a grant is tested with lets a key be described, and nothing else.
    const describes = ({ conditions }: Permission) =>
      JSON.stringify(conditions?.['ForAllValues:StringEquals']) === '{"kms:GrantOperations":["DescribeKey"]}';
    const touching = (rows: readonly Permission[]) =>
      rows
        .filter((row) => !describes(row))
        .filter((row) =>
          row.actions.some((action) => !/^(ec2|ssm|kms|dynamodb):(Describe|Get|List|BatchGet|Query)/.test(action)),
        );
    const fleetRows = FUNCTION_NAMES.flatMap((name) => touching(permissionsOf(name, hub(), plan))).filter((row) =>
      row.actions.some((action) => /^(ec2|ssm|kms):/.test(action)),
    );
    expect(sids(fleetRows)).toEqual(sids(bringBack(plan)));
    expect(sids(touching(memberPermissions(plan)))).toEqual(sids(bringBack(plan)));
  });
});

describe('run command', () => {
  it('sends our document only, and names it without an instance condition', () => {
    const rows = byAction(runCommand(fleet()), 'ssm:SendCommand');
    expect(rows.map((row) => [row.resources, row.conditions])).toEqual([
      [['arn:aws:ssm:eu-west-1:111122223333:document/Doc'], undefined],
      [
        ['arn:aws:ec2:eu-west-1:111122223333:instance/*'],
        {
          StringNotEqualsIgnoreCase: {
            'aws:ResourceTag/AuditBacklogRemediation': 'disabled',
            'ssm:resourceTag/AuditBacklogRemediation': 'disabled',
          },
        },
      ],
    ]);
  });
});

describe('tags', () => {
  it('of ours only: never the opt-in, never the opt-out', () => {
    const rows = [...power(fleet()), ...statusTag(fleet()), ...bringBack(fleet())].filter((row) =>
      row.actions.some((action) => /ec2:(Create|Delete)Tags/.test(action)),
    );
    expect(rows).toHaveLength(4);
    for (const row of rows) {
      const keys = row.conditions?.['ForAllValues:StringEquals']?.['aws:TagKeys'];
      expect(['AuditBacklogStopped', 'AuditBacklogStatus']).toEqual(expect.arrayContaining([keys].flat()));
      expect(row.conditions?.Null?.['aws:TagKeys']).toBe('false');
    }
  });
});

describe('roles', () => {
  const can = (name: (typeof FUNCTION_NAMES)[number], action: string, more: Partial<Hub> = {}) =>
    byAction(permissionsOf(name, hub(more), fleet()), action).length > 0;

  it('have only what the function does', () => {
    expect(FUNCTION_NAMES.filter((name) => can(name, 'ec2:StopInstances'))).toEqual(['restart']);
    expect(FUNCTION_NAMES.filter((name) => can(name, 'ssm:SendCommand'))).toEqual(['cell', 'restart']);
    expect(FUNCTION_NAMES.filter((name) => can(name, 'ec2:StartInstances'))).toEqual(['restart', 'reconcile']);
    expect(FUNCTION_NAMES.filter((name) => can(name, 'dynamodb:PutItem'))).toEqual(['sweep', 'cell', 'restart']);
  });

  it('read calendars and alarms only where the policy names some', () => {
    for (const name of ['run', 'cell', 'restart'] as const) {
      expect(can(name, 'ssm:GetCalendarState')).toBe(false);
      expect(can(name, 'ssm:GetCalendarState', { calendarArns: ['c'] })).toBe(true);
      expect(can(name, 'cloudwatch:DescribeAlarms')).toBe(false);
      expect(can(name, 'cloudwatch:DescribeAlarms', { readsAlarms: true })).toBe(true);
    }
  });

  it('assume a role only where another account is named', () => {
    expect(can('cell', 'sts:AssumeRole')).toBe(false);
    expect(can('cell', 'sts:AssumeRole', { memberRoleArns: ['r'] })).toBe(true);
  });

  it('reach no instance where the own account is not in scope', () => {
    const rows = FUNCTION_NAMES.flatMap((name) => permissionsOf(name, hub(), null));
    expect(rows.flatMap((row) => row.actions).filter((action) => /^(ec2|ssm|kms):/.test(action))).toEqual([]);
  });

  it('of a member account may do what cell, restart and reconcile may, and nothing else', () => {
    const own = (['cell', 'restart', 'reconcile'] as const)
      .flatMap((name) => permissionsOf(name, hub(), fleet()))
      .flatMap((row) => row.actions)
      .filter((action) => /^(ec2|ssm|kms):/.test(action));
    const member = memberPermissions(fleet()).flatMap((row) => row.actions);
    expect(new Set(member)).toEqual(new Set(own));
  });

  it('read consoles of nobody who opted out', () => {
    const [row] = byAction(readFleet(fleet()), 'ec2:GetConsoleOutput');
    expect(row?.conditions).toEqual({
      StringNotEqualsIgnoreCase: { 'aws:ResourceTag/AuditBacklogRemediation': 'disabled' },
    });
  });
});

describe('permissions and code', () => {
  const folder = join(__dirname, '..', '..', 'lambdas', 'aws');
  const sources = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
  const named = sources.flatMap(
    (text) => text.match(/'(ec2|ssm|kms|sns|events|logs|dynamodb|lambda|cloudwatch):[A-Z]\w+'/g) ?? [],
  );
  const called = new Set(named.map((text) => text.slice(1, -1)));
  const granted = new Set(
    [...everything, invoke('Start', 'alias', 'Starts the next function.'), watchOwn('function')].flatMap(
      (row) => row.actions,
    ),
  );

  it('grant every call that the adapters make', () => {
    expect(called.size).toBeGreaterThan(25);
    expect([...called].filter((action) => !granted.has(action))).toEqual([]);
  });

  it('grant nothing that no adapter calls, but what AWS does on their behalf', () => {
    const onBehalf = ['sqs:SendMessage', 'sts:AssumeRole'];
    expect([...granted].filter((action) => !called.has(action) && !onBehalf.includes(action))).toEqual([]);
  });
});

describe('events', () => {
  it('are sent under the name that the permission allows', () => {
    expect(SENT).toBe(EVENT_SOURCE);
  });
});

describe('docs/permissions.md', () => {
  it('is what `node lib/permissions-doc.ts` writes', () => {
    expect(readFileSync(PERMISSIONS_DOC, 'utf8')).toBe(permissionsDocument());
  });
});
