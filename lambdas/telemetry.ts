/** What the functions say of themselves: structured logs, and metrics in CloudWatch's embedded metric format. */

import type { DurableLogger } from '@aws/durable-execution-sdk-js';
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { RunReport } from '../domain/contracts.ts';

const SERVICE = 'audit-backlog-remediation';
/** Namespace of the service's metrics in CloudWatch. */
export const METRICS_NAMESPACE = 'AuditBacklogRemediation';

/** Where logs and metrics go. In a simulated region nowhere: its own log of events tells what happened. */
export interface Telemetry {
  readonly logger: DurableLogger;
  /** Counts of a finished run. */
  measure(report: RunReport): void;
}

/** Logs and metrics as Lambda takes them from stdout. */
export function lambdaTelemetry(): Telemetry {
  const logger = new Logger({ serviceName: SERVICE });
  return {
    logger,
    measure(report) {
      const metrics = new Metrics({ namespace: METRICS_NAMESPACE, serviceName: SERVICE });
      const { instances, affected, unknown, resized, restarted, deferred, left, failed } = report.totals;
      const counts = { instances, affected, unknown, resized, restarted, deferred, left, failed };
      for (const [name, n] of Object.entries(counts)) metrics.addMetric(name, MetricUnit.Count, n);
      metrics.addMetric('incomplete', MetricUnit.Count, report.complete ? 0 : 1);
      metrics.addMetric('breakersOpen', MetricUnit.Count, report.cells.filter((cell) => cell.breaker.open).length);
      metrics.addMetric(
        'throttled',
        MetricUnit.Count,
        report.cells.reduce((sum, cell) => sum + cell.throttled, 0),
      );
      metrics.publishStoredMetrics();
    },
  };
}

const nothing = () => undefined;

/** Says nothing. */
export const SILENT: Telemetry = {
  logger: { log: nothing, info: nothing, warn: nothing, error: nothing, debug: nothing },
  measure: nothing,
};
