/** What wakes a person. Every row has a guide of the same title in docs/operations.md. */
import { Annotations, Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ServiceFunction } from './functions.ts';
import { executionsThat, recordCount, runCount, sumOf } from './metrics.ts';
import type { FunctionName } from './permissions.ts';
import { missedSweepHours, type Settings } from './settings.ts';

export interface AlarmsProps {
  readonly settings: Settings;
  readonly functions: Readonly<Record<FunctionName, ServiceFunction>>;
  readonly deadLetterQueue: IQueue;
  /** Told of every alarm. */
  readonly topic: Topic;
}

/** One alarm, as far as it differs from the others. */
interface Row {
  readonly id: string;
  /** Heading of its guide. */
  readonly title: string;
  readonly means: string;
  readonly metric: IMetric;
  /** Breached at or above it, or below it. */
  readonly atLeast?: number;
  readonly below?: number;
  readonly periods?: number;
  /** So many of the periods suffice; default: all. */
  readonly breaching?: number;
  readonly missing: TreatMissingData;
}

const FIVE_MINUTES = Duration.minutes(5);
const HOUR = Duration.hours(1);
/** Counts may reach CloudWatch minutes after their period was looked at: one bad period of the last three is enough. */
const ONE_OF_THREE = { periods: 3, breaching: 1 } as const;
/** A sweep's counts come once in hours: between them an alarm keeps its state. */
const UNTIL_THE_NEXT_SWEEP = TreatMissingData.IGNORE;

function rowsOf({ settings, functions, deadLetterQueue }: AlarmsProps): readonly Row[] {
  const failed = (...names: FunctionName[]) =>
    names.flatMap((name) => [
      executionsThat('Failed', functions[name].handler, FIVE_MINUTES),
      executionsThat('TimedOut', functions[name].handler, FIVE_MINUTES),
    ]);
  const { unknownPercent, throttledCalls } = settings.alarms;
  const reconcile = functions.reconcile.handler;
  return [
    ...sweepMissing(missedSweepHours(settings)),
    {
      id: 'SweepFailed',
      title: 'A sweep failed',
      means: 'an execution of the sweep or cell function failed or ran out of time',
      metric: sumOf(failed('sweep', 'cell'), 'failed executions', FIVE_MINUTES),
      atLeast: 1,
      ...ONE_OF_THREE,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      id: 'SweepIncomplete',
      title: 'A sweep is incomplete',
      means: 'a call failed for good, or a cell is not ready: part of the fleet was not looked at',
      metric: runCount('incomplete', HOUR),
      atLeast: 1,
      missing: UNTIL_THE_NEXT_SWEEP,
    },
    {
      id: 'InstanceNotBack',
      title: 'An instance that we stopped is not back',
      means: 'the service stopped an instance and could not start it again so far',
      metric: sumOf(
        [
          reconcile.metricErrors({ period: FIVE_MINUTES, statistic: Stats.SUM }),
          recordCount('awaitingCapacity', FIVE_MINUTES),
        ],
        'not back',
        FIVE_MINUTES,
      ),
      atLeast: 1,
      ...ONE_OF_THREE,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      id: 'ReconcileMissing',
      title: 'Reconcile does not run',
      means: 'nothing looks after instances that the service stopped, for half an hour',
      metric: reconcile.metricInvocations({ period: FIVE_MINUTES, statistic: Stats.SUM }),
      below: 1,
      periods: 6,
      missing: TreatMissingData.BREACHING,
    },
    {
      id: 'RestartFailed',
      title: 'A restart failed',
      means: 'a hung instance was to be restarted, and did not come back or was not cured',
      metric: sumOf(
        [...failed('restart'), recordCount('restartsFailed', FIVE_MINUTES)],
        'failed restarts',
        FIVE_MINUTES,
      ),
      atLeast: 1,
      ...ONE_OF_THREE,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      id: 'CureFailed',
      title: 'A cure failed',
      means: 'the runbook failed or was rolled back, a command was never delivered, or a restart failed',
      metric: runCount('failed', HOUR),
      atLeast: 1,
      missing: UNTIL_THE_NEXT_SWEEP,
    },
    {
      id: 'UnknownConsoles',
      title: 'Many consoles are unknown',
      means: `at least ${unknownPercent} % of the instances have a console that is empty or cannot be read`,
      metric: new MathExpression({
        expression: 'IF(instances > 0, 100 * unknown / instances, 0)',
        usingMetrics: {
          unknown: runCount('unknown', HOUR),
          instances: runCount('instances', HOUR),
        },
        label: 'unknown consoles, percent',
        period: HOUR,
      }),
      atLeast: unknownPercent,
      missing: UNTIL_THE_NEXT_SWEEP,
    },
    {
      id: 'BreakerOpen',
      title: 'The breaker is open',
      means: 'so many instances are affected or silent at once that no restart is made: a human decides',
      metric: runCount('breakersOpen', HOUR),
      atLeast: 1,
      missing: UNTIL_THE_NEXT_SWEEP,
    },
    {
      id: 'Throttled',
      title: 'Calls are throttled',
      means: `AWS refused at least ${throttledCalls} calls of one sweep as too many`,
      metric: runCount('throttled', HOUR),
      atLeast: throttledCalls,
      missing: UNTIL_THE_NEXT_SWEEP,
    },
    {
      id: 'FunctionsThrottled',
      title: 'Functions are throttled',
      means: 'Lambda had no concurrency left for the service',
      metric: sumOf(
        Object.values(functions).map(({ handler }) =>
          handler.metricThrottles({ period: FIVE_MINUTES, statistic: Stats.SUM }),
        ),
        'throttled invocations',
        FIVE_MINUTES,
      ),
      atLeast: 1,
      ...ONE_OF_THREE,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      id: 'DeadLetters',
      title: 'There are dead letters',
      means: 'an event could not be handled: a scheduled sweep, or a message of one function to another',
      metric: deadLetterQueue.metricApproximateNumberOfMessagesVisible({
        period: FIVE_MINUTES,
        statistic: Stats.MAXIMUM,
      }),
      atLeast: 1,
      missing: TreatMissingData.NOT_BREACHING,
    },
  ];
}

/** Up to this long, periods of less than an hour can be evaluated. Unit: hours. */
const FINE_EVALUATION = 24;

/**
 * A metric that comes once in hours has no data in between, and CloudWatch then looks further back than it is told;
 * filled up, it looks at exactly these periods.
 */
function sweepMissing(hours: number | null): Row[] {
  if (hours === null) return [];
  const period = hours <= FINE_EVALUATION ? Duration.minutes(15) : HOUR;
  return [
    {
      id: 'SweepMissing',
      title: 'No sweep was finished',
      means: `no sweep was finished for ${hours} hours`,
      metric: sumOf([runCount('incomplete', period, Stats.SAMPLE_COUNT)], 'finished sweeps', period),
      below: 1,
      periods: Math.ceil(hours / period.toHours({ integral: false })),
      missing: TreatMissingData.BREACHING,
    },
  ];
}

/** All alarms; each tells the topic. */
export class Alarms extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const action = new SnsAction(props.topic);
    // With a policy of its own, a topic no longer has the default one that lets the account's alarms in.
    props.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsMayPublish',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [props.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    if (missedSweepHours(props.settings) === null) {
      Annotations.of(this).addWarningV2(
        'audit-backlog-remediation:missed-sweep',
        `no alarm tells of a missed sweep: ${props.settings.schedule} leaves more days between two than CloudWatch looks back`,
      );
    }
    this.alarms = rowsOf(props).map((row) => {
      const alarm = new Alarm(this, row.id, {
        metric: row.metric,
        threshold: row.atLeast ?? row.below ?? 1,
        comparisonOperator:
          row.below === undefined
            ? ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
            : ComparisonOperator.LESS_THAN_THRESHOLD,
        evaluationPeriods: row.periods ?? 1,
        ...(row.breaching === undefined ? {} : { datapointsToAlarm: row.breaching }),
        treatMissingData: row.missing,
        alarmDescription: `Audit backlog: ${row.title.toLowerCase()}: ${row.means}. What to do: docs/operations.md#${anchorOf(row.title)}`,
      });
      alarm.addAlarmAction(action);
      return alarm;
    });
  }
}

/** Of a heading, as GitHub makes it. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
}
