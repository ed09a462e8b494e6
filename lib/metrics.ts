/** The service's metrics: those its functions emit, those that AWS counts of them, and those read from its records. */
import type { Duration } from 'aws-cdk-lib';
import { MathExpression, Metric, Stats, Unit } from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { FilterPattern, type ILogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** As in lambdas/telemetry.ts; a test compares both with what the sweep really writes. */
export const METRICS_NAMESPACE = 'AuditBacklogRemediation';
export const METRICS_SERVICE = 'audit-backlog-remediation';

/** Counts of one finished run, by the sweep function in CloudWatch's embedded metric format. */
export const RUN_COUNTS = [
  'instances',
  'affected',
  'unknown',
  'resized',
  'restarted',
  'deferred',
  'left',
  'failed',
  'incomplete',
  'breakersOpen',
  'throttled',
] as const;
export type RunCount = (typeof RUN_COUNTS)[number];

/** A count of finished runs; the largest of a period unless a statistic is named. */
export function runCount(name: RunCount, period: Duration, statistic: string = Stats.MAXIMUM): Metric {
  return new Metric({
    namespace: METRICS_NAMESPACE,
    metricName: name,
    dimensionsMap: { service: METRICS_SERVICE },
    statistic,
    period,
    unit: Unit.COUNT,
    label: name,
  });
}

/**
 * What Lambda counts of a durable function's executions; its `Errors` count invocations, of which one execution has many.
 */
export function executionsThat(what: 'Failed' | 'TimedOut', of: IFunction, period: Duration): Metric {
  return new Metric({
    namespace: 'AWS/Lambda',
    metricName: `DurableExecution${what}`,
    dimensionsMap: { FunctionName: of.functionName },
    statistic: Stats.SUM,
    period,
  });
}

/** The sum of some metrics; a metric without data counts as 0. */
export function sumOf(metrics: readonly Metric[], label: string, period: Duration): MathExpression {
  const named = Object.fromEntries(metrics.map((metric, index) => [`m${index}`, metric]));
  const expression = Object.keys(named)
    .map((name) => `FILL(${name}, 0)`)
    .join(' + ');
  return new MathExpression({ expression, usingMetrics: named, label, period });
}

/** What a record of the service says, as a pattern of CloudWatch Logs; the name is that of the metric. */
export const RECORD_COUNTS = {
  restartsFailed: '{ $.outcome.result = "restart-failed" }',
  awaitingCapacity: '{ $.outcome.result = "awaiting-capacity" }',
} as const;

/** Makes the metrics that are read from the service's records. */
export function countRecords(scope: Construct, log: ILogGroup): void {
  for (const [name, pattern] of Object.entries(RECORD_COUNTS)) {
    new MetricFilter(scope, `Count-${name}`, {
      logGroup: log,
      filterPattern: FilterPattern.literal(pattern),
      metricNamespace: METRICS_NAMESPACE,
      metricName: name,
      metricValue: '1',
    });
  }
}

export function recordCount(name: keyof typeof RECORD_COUNTS, period: Duration): Metric {
  return new Metric({ namespace: METRICS_NAMESPACE, metricName: name, statistic: Stats.SUM, period, label: name });
}
