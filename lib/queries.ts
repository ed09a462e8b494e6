/** Saved Logs Insights queries over the service's records and the logs of its functions. */
import { Aws } from 'aws-cdk-lib';
import { CfnQueryDefinition, type ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

/** A query over the service's records: its name, and the lines of its text. */
export const RECORD_QUERIES = {
  'What needs me': [
    'filter type = "outcome" and outcome.result not in ["resized", "already-sufficient", "held", "planned"] and outcome.next != ""',
    'fields @timestamp, instanceId, accountId, region, outcome.result, outcome.message, outcome.next',
    'sort @timestamp desc',
    'limit 200',
  ],
  'Sweeps and their totals': [
    'filter type = "report"',
    'fields @timestamp, runId, mode, complete, totals.instances, totals.affected, totals.unknown, totals.resized, totals.restarted, totals.deferred, totals.left, totals.failed',
    'sort @timestamp desc',
    'limit 100',
  ],
  'Why instances are left alone': [
    'filter type = "finding" and action in ["leave", "defer"]',
    'stats count_distinct(instanceId) as instances, latest(reason) as reason, latest(next) as next by code',
    'sort instances desc',
  ],
  'Affected by image and kernel': [
    'filter type = "finding" and evidence.verdict = "overflow"',
    'stats count_distinct(instanceId) as instances by imageId, launchTemplate, evidence.kernel',
    'sort instances desc',
  ],
  'History of one instance': [
    'filter instanceId = "i-REPLACE-ME"',
    'fields @timestamp, type, runId, code, action, reason, outcome.result, outcome.limitBefore, outcome.limitAfter, outcome.message, outcome.next',
    'sort @timestamp asc',
    'limit 1000',
  ],
} as const;

/** Errors that the functions logged. */
const FUNCTION_ERRORS = [
  'filter level in ["ERROR", "WARN"] or @message like /(?i)(task timed out|runtime.exiterror)/',
  'fields @timestamp, @log, level, message, error.name, error.message',
  'sort @timestamp desc',
  'limit 200',
];

export interface QueriesProps {
  readonly records: ILogGroup;
  readonly functionLogs: readonly ILogGroup[];
}

/** The queries stand in a folder of the stack's name, so that a second deployment has its own. */
export class Queries extends Construct {
  constructor(scope: Construct, id: string, { records, functionLogs }: QueriesProps) {
    super(scope, id);
    const query = (name: string, lines: readonly string[], groups: readonly ILogGroup[]) =>
      new CfnQueryDefinition(this, name.replace(/[^A-Za-z]/g, ''), {
        name: `${Aws.STACK_NAME}/${name}`,
        queryString: lines.join('\n| '),
        logGroupNames: groups.map((group) => group.logGroupName),
      });
    for (const [name, lines] of Object.entries(RECORD_QUERIES)) query(name, lines, [records]);
    query('Errors of the functions', FUNCTION_ERRORS, functionLogs);
  }
}
