/** Alarms, dashboard and queries: that somebody is told, that a guide exists, that the metrics are really emitted. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Template } from 'aws-cdk-lib/assertions';
import type { RunReport } from '../../domain/contracts.ts';
import { METRICS_NAMESPACE as EMITTED, lambdaTelemetry } from '../../lambdas/telemetry.ts';
import { anchorOf } from '../../lib/alarms.ts';
import { METRICS_NAMESPACE, RUN_COUNTS } from '../../lib/metrics.ts';
import { missedSweepHours, settingsSchema } from '../../lib/settings.ts';
import { appWith, type Json, resources, templateOf } from './synth.ts';

const template = templateOf(appWith());
const alarms = resources(template, 'AWS::CloudWatch::Alarm').map(
  ([, { Properties }]) => Properties as Record<string, Json>,
);
const [[topicId]] = resources(template, 'AWS::SNS::Topic') as [[string, unknown]];

interface Watched {
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: Json }[];
}
/** Metrics of an alarm: its own, or those of its expression. */
const metricsOf = (alarm: Record<string, Json>): Watched[] =>
  alarm.Metrics
    ? alarm.Metrics.flatMap((one: Json) => (one.MetricStat ? [one.MetricStat.Metric] : []))
    : [alarm as unknown as Watched];

describe('alarms', () => {
  it('watch everything that the guide speaks of, and the guide speaks of everything', () => {
    const guide = readFileSync(join(__dirname, '..', '..', 'docs', 'operations.md'), 'utf8');
    const section = guide.slice(guide.indexOf('\n## Alarms'), guide.indexOf('\n## Log groups'));
    const headings = [...section.matchAll(/^### (.+)$/gm)].map(([, title]) => anchorOf(title ?? ''));
    const named = alarms.map((alarm) => /docs\/operations\.md#([a-z-]+)$/.exec(alarm.AlarmDescription)?.[1]);
    expect(named.sort()).toEqual(headings.sort());
    expect(section.match(/^\*\*Means\*\*/gm)).toHaveLength(headings.length);
    expect(section.match(/^\*\*Do\*\*/gm)).toHaveLength(headings.length);
  });

  it('each tell the topic, and the topic lets them', () => {
    expect(alarms).toHaveLength(12);
    for (const alarm of alarms) {
      expect(alarm.AlarmActions).toEqual([{ Ref: topicId }]);
      expect(alarm.ActionsEnabled).not.toBe(false);
    }
    const statements = resources(template, 'AWS::SNS::TopicPolicy').flatMap(
      ([, policy]) => policy.Properties.PolicyDocument.Statement,
    );
    expect(statements).toContainEqual({
      Sid: 'AlarmsMayPublish',
      Effect: 'Allow',
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Action: 'sns:Publish',
      Resource: { Ref: topicId },
      Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
    });
  });

  it('say what missing data means: only a missing sweep or reconcile is an alarm', () => {
    const missing = alarms.filter((alarm) => alarm.TreatMissingData === 'breaching');
    expect(missing.map((alarm) => alarm.AlarmDescription)).toEqual([
      expect.stringContaining('no sweep was finished'),
      expect.stringContaining('reconcile does not run'),
    ]);
    for (const alarm of alarms) expect(['breaching', 'notBreaching', 'ignore']).toContain(alarm.TreatMissingData);
  });

  it('count what arrives late: one bad period of three is enough where a sum is filled up with zeros', () => {
    const filled = alarms.filter(
      (alarm) => JSON.stringify(alarm.Metrics ?? '').includes('FILL') && alarm.Threshold === 1,
    );
    const late = filled.filter((alarm) => alarm.ComparisonOperator.startsWith('GreaterThan'));
    expect(late.length).toBeGreaterThanOrEqual(4);
    for (const alarm of late) expect(alarm).toMatchObject({ EvaluationPeriods: 3, DatapointsToAlarm: 1 });
  });

  it('evaluate no longer than CloudWatch does: a week', () => {
    for (const alarm of alarms) {
      const period = alarm.Period ?? alarm.Metrics.find((one: Json) => one.MetricStat).MetricStat.Period;
      expect(period * alarm.EvaluationPeriods).toBeLessThanOrEqual(7 * 86_400);
    }
  });

  it('of the own namespace are on metrics that the sweep emits or that a filter reads from its records', () => {
    const emitted = emittedBySweep();
    const filters = new Set(
      resources(template, 'AWS::Logs::MetricFilter').flatMap(([, { Properties }]) =>
        Properties.MetricTransformations.map((one: Json) => `${one.MetricNamespace} ${one.MetricName} `),
      ),
    );
    expect(METRICS_NAMESPACE).toBe(EMITTED);
    const own = alarms.flatMap(metricsOf).filter((metric) => !metric.Namespace.startsWith('AWS/'));
    expect(own.length).toBeGreaterThan(7);
    for (const { Namespace, MetricName, Dimensions = [] } of own) {
      const name = `${Namespace} ${MetricName} ${Dimensions.map((one) => `${one.Name}=${one.Value}`).join(',')}`;
      expect([...emitted, ...filters]).toContain(name);
    }
  });

  it('and the dashboard count exactly what the sweep emits', () => {
    const names = emittedBySweep().map((line) => line.split(' ')[1]);
    expect(names.sort()).toEqual([...RUN_COUNTS].sort());
  });

  it('of AWS are on metrics of this stack: functions and queue by reference', () => {
    const others = alarms.flatMap(metricsOf).filter((metric) => metric.Namespace.startsWith('AWS/'));
    for (const { Namespace, MetricName, Dimensions = [] } of others) {
      expect(Dimensions).toHaveLength(1);
      expect(['AWS/Lambda', 'AWS/SQS']).toContain(Namespace);
      expect(JSON.stringify(Dimensions[0]?.Value)).toMatch(/Ref|GetAtt/);
      if (MetricName.startsWith('DurableExecution')) {
        expect(JSON.stringify(Dimensions[0]?.Value)).toMatch(/Service(Sweep|Cell|Restart)Function/);
      }
    }
  });
});

/** `namespace name dimensions` of what the telemetry of the shipped sweep writes to its log. */
function emittedBySweep(): string[] {
  const lines: string[] = [];
  // Powertools writes to a console of its own, made over the process's standard output.
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    lines.push(String(chunk));
    return true;
  });
  const log = jest.spyOn(console, 'log').mockImplementation((line) => {
    lines.push(String(line));
  });
  const cell = { breaker: { open: true, reason: 'r' }, throttled: 3 };
  const totals = { instances: 9, affected: 1, unknown: 1, resized: 1, restarted: 1, deferred: 1, left: 1, failed: 1 };
  lambdaTelemetry().measure({ totals, complete: false, cells: [cell] } as unknown as RunReport);
  write.mockRestore();
  log.mockRestore();
  const embedded = JSON.parse(lines.join('').trim()) as Record<string, Json>;
  expect(embedded).toMatchObject({ incomplete: 1, breakersOpen: 1, throttled: 3 });
  return embedded._aws.CloudWatchMetrics.flatMap((set: Json) =>
    set.Dimensions.flatMap((names: string[]) =>
      set.Metrics.map(
        (metric: Json) => `${set.Namespace} ${metric.Name} ${names.map((n) => `${n}=${embedded[n]}`).join(',')}`,
      ),
    ),
  );
}

describe('after how long a sweep is missed', () => {
  it.each([
    ['rate(4 hours)', 6],
    ['rate(1 hour)', 1.5],
    ['rate(30 minutes)', 1],
    ['rate(1 day)', 36],
    ['rate(6 days)', 168],
    ['rate(7 days)', null],
    ['cron(0 2 * * ? *)', 36],
    ['cron(0 2 ? * MON-FRI *)', 108],
    ['cron(0 2 ? * 2,4,6 *)', 108],
    ['cron(0 2 ? * SAT-SUN *)', 168],
    ['cron(0 2 ? * SUN *)', null],
    ['cron(0 2 ? * 6L *)', null],
    ['cron(0 2 1 * ? *)', null],
    ['cron(0 2 * 1-6 ? *)', null],
  ])('%s: %p hours', (schedule, hours) => {
    expect(missedSweepHours(settingsSchema.parse({ schedule }))).toBe(hours);
  });

  it.each([
    ['rate(4 hours)', 90, 7.5],
    ['rate(4 hours)', 1440, 30],
    ['cron(0 2 * * ? *)', 60, 37],
  ])('%s, flexible by %i minutes: %f hours', (schedule, flexibleWindowMinutes, hours) => {
    expect(missedSweepHours(settingsSchema.parse({ schedule, flexibleWindowMinutes }))).toBe(hours);
  });

  it('is what the settings say, where they do', () => {
    expect(missedSweepHours(settingsSchema.parse({ alarms: { missedSweepHours: 80 } }))).toBe(80);
    const changed = templateOf(appWith({ alarms: { missedSweepHours: 80, unknownPercent: 25, throttledCalls: 2000 } }));
    changed.hasResourceProperties('AWS::CloudWatch::Alarm', { EvaluationPeriods: 80, TreatMissingData: 'breaching' });
    changed.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold: 25 });
    changed.hasResourceProperties('AWS::CloudWatch::Alarm', { Threshold: 2000 });
  });

  it('cannot be watched where it is longer than CloudWatch looks back, which is said and not done in silence', () => {
    const app = appWith({ schedule: 'rate(14 days)' });
    expect(missing(templateOf(app))).toBeUndefined();
    const said = app.synth().stacks.flatMap(({ messages }) => messages.filter(({ level }) => level === 'warning'));
    expect(said.map(({ entry }) => entry.data)).toEqual([expect.stringContaining('no alarm tells of a missed sweep')]);
  });

  describe.each([
    ['rate(4 hours)', 4],
    ['rate(1 hour)', 1],
    ['rate(1 day)', 24],
    ['cron(0 2 * * ? *)', 24],
  ])('%s', (schedule, hours) => {
    const alarm = missing(templateOf(appWith({ schedule })));
    /** Hours at which sweeps are finished: each begins on time and takes between a minute and a third of the interval. */
    const finished = (count: number) =>
      Array.from({ length: count }, (_, index) => index * hours + (index % 2 === 0 ? 1 / 60 : hours / 3));

    it('is quiet while sweeps come to their end, some late', () => {
      expect(alarmsAt(alarm, finished(20), 19 * hours)).toEqual([]);
    });

    it('fires when a single one is missed, before the next is due, and is quiet again after that', () => {
      const without = finished(20).filter((_, index) => index !== 10);
      const fired = alarmsAt(alarm, without, 19 * hours);
      expect(fired[0]).toBeGreaterThan(10 * hours);
      expect(fired[0]).toBeLessThan(11 * hours);
      expect(fired.at(-1)).toBeLessThan((11 + 1 / 3) * hours);
    });

    it('fires when there never was one', () => {
      expect(alarmsAt(alarm, [], 3 * hours).length).toBeGreaterThan(0);
    });
  });
});

function missing(of: Template): Record<string, Json> | undefined {
  const found = resources(of, 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties);
  return found.find((one) => one.AlarmDescription.includes('no sweep was finished')) as
    | Record<string, Json>
    | undefined;
}

/**
 * At the end of which periods, in hours, the alarm is on, as CloudWatch documents it: all of the last N periods breach.
 * With FILL none of them lacks data, as long as there was any; where there never was, missing data counts as it is set.
 */
function alarmsAt(alarm: Record<string, Json> | undefined, finished: readonly number[], until: number): number[] {
  const [expression, metric] = alarm?.Metrics ?? [];
  expect(expression.Expression).toBe(`FILL(${metric.Id}, 0)`);
  expect(metric.MetricStat.Stat).toBe('SampleCount');
  expect([alarm?.ComparisonOperator, alarm?.Threshold]).toEqual(['LessThanThreshold', 1]);
  const period = metric.MetricStat.Period / 3600;
  const periods = alarm?.EvaluationPeriods as number;
  const breaches = (index: number) => {
    if (finished.length === 0) return alarm?.TreatMissingData === 'breaching';
    return !finished.some((at) => Math.floor(at / period) === index);
  };
  return Array.from({ length: Math.floor(until / period) }, (_, index) => index)
    .filter((last) => last >= periods - 1)
    .filter((last) => Array.from({ length: periods }, (_, back) => last - back).every(breaches))
    .map((last) => (last + 1) * period - period / 2);
}

describe('dashboard and queries', () => {
  it('the dashboard asks the three questions and shows every alarm', () => {
    const [[, dashboard]] = resources(template, 'AWS::CloudWatch::Dashboard') as [[string, { Properties: Json }]];
    const text = JSON.stringify(dashboard.Properties.DashboardBody);
    for (const question of ['What is affected', 'What was done', 'What needs me']) expect(text).toContain(question);
    for (const [id] of resources(template, 'AWS::CloudWatch::Alarm')) expect(text).toContain(id);
    expect(dashboard.Properties.DashboardName).toBeUndefined();
  });

  it('the queries stand in a folder of the stack and on its own log groups', () => {
    const queries = resources(template, 'AWS::Logs::QueryDefinition').map(([, { Properties }]) => Properties);
    expect(queries).toHaveLength(6);
    for (const query of queries) {
      expect(JSON.stringify(query.Name)).toMatch(/AWS::StackName/);
      for (const group of query.LogGroupNames) expect(group.Ref).toMatch(/^Service/);
    }
    expect(queries.map((query) => query.LogGroupNames.length).sort()).toEqual([1, 1, 1, 1, 1, 5]);
  });
});

describe('log groups', () => {
  it('take the key that the settings name, all of them', () => {
    const key = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    const groups = resources(templateOf(appWith({ logKeyArn: key })), 'AWS::Logs::LogGroup');
    expect(groups).toHaveLength(7);
    for (const [, group] of groups) expect(group.Properties.KmsKeyId).toBe(key);
  });
});
