/** CloudWatch of the embedded cloud: alarms to ask for, and metrics that were put. */
import { type ApiCall, ApiError, type JsonObject, notModelled, type Service } from './core.ts';
import { Parameters } from './parameters.ts';

/** An alarm in the state that a test wants it in. */
export interface EmbeddedAlarm {
  readonly name: string;
  readonly type: 'MetricAlarm' | 'CompositeAlarm';
  readonly state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
}

const pageOfAlarms = 50;

/** CloudWatch as a service of the cloud. */
export class CloudWatchService implements Service {
  readonly name = 'monitoring';
  /** What the SDK for JavaScript speaks to it; Query is understood as well. */
  readonly protocol = 'json-1.0';
  /** Metric data by namespace, as it came. */
  readonly metrics: { readonly namespace: string; readonly data: readonly JsonObject[] }[] = [];
  readonly #alarms = new Map<string, EmbeddedAlarm & { readonly key: string; readonly arn: string }>();

  /** Sets or changes an alarm of a cell. */
  setAlarm(accountId: string, region: string, alarm: EmbeddedAlarm): void {
    const key = `${accountId}/${region}`;
    const arn = `arn:aws:cloudwatch:${region}:${accountId}:alarm:${alarm.name}`;
    this.#alarms.set(arn, { ...alarm, key, arn });
  }

  isMutating(action: string): boolean {
    return action === 'PutMetricData';
  }

  handle(call: ApiCall): JsonObject {
    const parameters = new Parameters(call);
    if (call.action === 'DescribeAlarms') return this.#describeAlarms(call, parameters);
    if (call.action === 'PutMetricData') {
      const namespace = parameters.required('Namespace');
      const data = parameters.objects('MetricData');
      parameters.done();
      if (data.length > 1000) throw new ApiError('InvalidParameterValue', 'MetricData holds more than 1000 metrics');
      this.metrics.push({ namespace, data });
      return {};
    }
    return notModelled(call, 'the action');
  }

  #describeAlarms(call: ApiCall, parameters: Parameters): JsonObject {
    const names = parameters.strings('AlarmNames');
    const prefix = parameters.string('AlarmNamePrefix');
    const types = parameters.strings('AlarmTypes');
    const state = parameters.string('StateValue');
    const most = parameters.integer('MaxRecords', 1, 100) ?? pageOfAlarms;
    const from = Number(parameters.string('NextToken') ?? 0);
    parameters.done();
    if (names.length > 0 && prefix !== undefined) {
      throw new ApiError('ValidationError', 'AlarmNamePrefix and AlarmNames are mutually exclusive.');
    }
    // Without types, only metric alarms are returned.
    const wanted = types.length === 0 ? ['MetricAlarm'] : types;
    const found = [...this.#alarms.values()]
      .filter(({ key }) => key === `${call.accountId}/${call.region}`)
      .filter(({ name, type }) => wanted.includes(type) && (names.length === 0 || names.includes(name)))
      .filter((alarm) => alarm.name.startsWith(prefix ?? '') && (state === undefined || alarm.state === state));
    const page = found.slice(from, from + most);
    const shown = (type: EmbeddedAlarm['type']): readonly JsonObject[] =>
      page
        .filter((alarm) => alarm.type === type)
        .map(({ name, arn, state: value }) => ({ AlarmName: name, AlarmArn: arn, StateValue: value }));
    return {
      MetricAlarms: shown('MetricAlarm'),
      CompositeAlarms: shown('CompositeAlarm'),
      ...(from + most < found.length ? { NextToken: String(from + most) } : {}),
    };
  }
}
