import { InvalidInputError } from '../../domain/validation.ts';
import { policyText, readSettings, settingsSchema } from '../../lib/settings.ts';
import { appWith } from './synth.ts';

const refused = (value: unknown): string => {
  try {
    readSettings(value);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('settings', () => {
  it('are safe when nothing is said', () => {
    const settings = settingsSchema.parse(readSettings(undefined));
    expect(settings.policy.mode).toBe('plan');
    expect(settings.schedule).toBe('rate(4 hours)');
    expect(settings.flexibleWindowMinutes).toBe(0);
    expect(settings.notificationEmails).toEqual([]);
  });

  it.each([
    [{ shedule: 'rate(1 hour)' }, 'auditBacklogRemediation: unknown field shedule'],
    [{ policy: { mode: 'destroy' } }, 'policy.mode'],
    [{ policy: { restart: { maxInFligth: 1 } } }, 'unknown field policy.restart.maxInFligth'],
    [{ schedule: 'every four hours' }, 'schedule: write it like rate(4 hours)'],
    [{ schedule: 'rate(0 hours)' }, 'schedule: write it like rate(4 hours)'],
    [{ schedule: 'cron(0 2 * * * *)' }, 'schedule: of day of the month and day of the week exactly one has to be ?'],
    [{ schedule: 'cron(0 2 ? * ? *)' }, 'schedule: of day of the month and day of the week exactly one has to be ?'],
    [{ schedule: "cron(0 2 * * ? *'" }, 'schedule: write it like rate(4 hours)'],
    [{ timezone: 'Mars/Olympus' }, 'timezone: not a time zone'],
    [{ timezone: '+01:00' }, 'timezone: not a time zone'],
    [{ schedule: 'cron(99 2 * * ? *)' }, 'schedule: a number is out of range'],
    [{ schedule: 'cron(0 25 * * ? *)' }, 'schedule: a number is out of range'],
    [{ schedule: 'cron(0 2 0 * ? *)' }, 'schedule: a number is out of range'],
    [{ schedule: 'cron(0 2 * 13 ? *)' }, 'schedule: a number is out of range'],
    [{ schedule: 'cron(0 2 ? * 8 *)' }, 'schedule: a number is out of range'],
    [{ schedule: 'cron(0/0 2 * * ? *)' }, 'schedule: a number is out of range'],
    [{ policy: { tags: { restart: 'T', stopped: 'T' } } }, 'policy.tags: two tags have one name'],
    [{ policy: { tags: { status: 'AuditBacklogStopped' } } }, 'policy.tags: two tags have one name'],
    [{ policy: { tags: { optOut: 'aws:x' } } }, 'policy.tags.optOut: nobody can set a tag'],
    [{ flexibleWindowMinutes: 2000 }, 'flexibleWindowMinutes'],
    [{ notificationEmails: ['ops'] }, 'notificationEmails.0'],
    [
      { notificationEmails: ['ops@example.com', 'ops@example.com'] },
      'notificationEmails: an address stands there twice',
    ],
    [{ memberRole: { path: 'fleet' } }, 'memberRole.path: begins and ends with a slash'],
    [{ memberRole: { organizationId: '123' } }, 'memberRole.organizationId: write the id of an organization'],
    [{ testEvents: 'yes' }, 'testEvents'],
    [{ documentName: 'AWS-RunShellScript' }, 'documentName: names that begin with aws'],
    [{ policy: { scope: { regions: ['eu-west-1'] } } }, 'region: say where the service itself runs'],
    [{ policy: { scope: { accounts: ['111122223333'] } } }, 'account: say where the service itself runs'],
    ['{"policy":', 'not JSON'],
    ['plan', 'not JSON'],
    [[], 'auditBacklogRemediation'],
  ])('refuse %j in one line that names the field', (value, expected) => {
    const message = refused(value);
    expect(message).toContain(expected);
    expect(message).not.toContain('\n');
    expect(message.length).toBeLessThan(300);
  });

  it('may come as text, as `cdk synth -c` gives them', () => {
    expect(readSettings('{"policy":{"mode":"apply"}}')).toEqual({ policy: { mode: 'apply' } });
  });

  it('take cron schedules and time zones', () => {
    expect(refused({ schedule: 'cron(0 2 ? * MON-FRI *)', timezone: 'Europe/Dublin' })).toBe('accepted');
    for (const cron of ['0/15 8-18 ? * 2#1 *', '59 23 L * ? 2030', '0 2 15W 1,12 ? *']) {
      expect([cron, refused({ schedule: `cron(${cron})` })]).toEqual([cron, 'accepted']);
    }
  });
});

describe('the environment of a function', () => {
  it('is refused where Lambda would refuse it, in one line', () => {
    const accounts = Array.from({ length: 150 }, (_, index) => String(100_000_000_000 + index));
    const memberRole = { externalId: 'x'.repeat(1224) };
    const settings = { account: accounts[0], memberRole, policy: { scope: { accounts } } };
    expect(() => appWith(settings)).toThrow(
      /^auditBacklogRemediation: a function's environment would have \d+ bytes of the 4096 that Lambda takes: [^\n]+$/,
    );
    expect(() => appWith({ ...settings, memberRole: { externalId: 'x'.repeat(64) } })).not.toThrow();
  });
});

describe('policyText', () => {
  it('keeps what was written and adds no default', () => {
    expect(policyText({ mode: 'apply' })).toBe('{"mode":"apply"}');
    expect(policyText(undefined)).toBe('{}');
  });

  it('refuses what does not fit into the environment of a function', () => {
    const accounts = Array.from({ length: 300 }, (_, index) => String(100_000_000_000 + index));
    expect(() => policyText({ scope: { accounts } })).toThrow(/policy: \d+ bytes .* shorten its lists/);
  });
});
