/** Settings under which people deploy, each of which must synthesize into valid templates. */
import type { SettingsInput } from '../../lib/settings.ts';

const HUB = '111122223333';

export const VARIANTS: Readonly<Record<string, SettingsInput>> = {
  'as shipped': { policy: { mode: 'plan' } },
  acting: { policy: { mode: 'apply' } },
  'three regions, two member accounts': {
    account: HUB,
    region: 'eu-west-1',
    memberRole: { externalId: 'fleet-42', organizationId: 'o-a1b2c3d4e5', path: '/fleet/' },
    policy: {
      mode: 'apply',
      scope: {
        regions: ['eu-west-1', 'eu-central-1', 'us-east-1'],
        accounts: [HUB, '444455556666', '777788889999'],
      },
      overrides: [{ regions: ['us-east-1'], restart: { policy: 'any' } }],
    },
  },
  'custom tags': {
    policy: {
      mode: 'apply',
      tags: { optOut: 'Keep:Away', restart: 'May/Restart', stopped: 'Was Stopped', status: 'Backlog.Status' },
    },
  },
  'every setting': {
    account: HUB,
    region: 'eu-west-1',
    schedule: 'cron(0 2 ? * MON-FRI *)',
    timezone: 'Europe/Dublin',
    flexibleWindowMinutes: 15,
    notificationEmails: ['ops@example.com'],
    documentName: 'Fleet-Resize',
    alarms: { missedSweepHours: 80, unknownPercent: 25, throttledCalls: 2000 },
    logKeyArn: `arn:aws:kms:eu-west-1:${HUB}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    testEvents: 'use-registry',
    roles: { path: '/fleet/', permissionsBoundary: 'boundaries/Workload' },
    policy: {
      mode: 'apply',
      calendars: ['Freeze'],
      blockingAlarms: ['Incident'],
      restart: { signsOfLife: ['healthy-target'] },
    },
  },
};
