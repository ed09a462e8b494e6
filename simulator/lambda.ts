/**
 * Lambda's API on the embedded cloud: invoking functions, and looking at durable executions. Routes and headers are
 * those of the service model (2015-03-31 for Invoke, 2025-12-01 for durable executions).
 */
import { type ApiCall, ApiError, type Json, type JsonObject, notModelled } from './core.ts';
import type { DurableEngine } from './engine/durable-engine.ts';
import type { ExecutionView } from './engine/execution.ts';
import type { ResolvedFunction } from './engine/functions.ts';
import type { RestRequest, RestService, WireAnswer } from './protocols.ts';

/** Unit: bytes. */
const largestPayload = { RequestResponse: 6 * 1024 * 1024, Event: 1024 * 1024, DryRun: 6 * 1024 * 1024 } as const;
/** A durable function whose executions may last longer cannot be waited for. Unit: seconds. */
const longestSynchronous = 900;

const invocationTypes = ['RequestResponse', 'Event', 'DryRun'] as const;

/** What a request asks for; null where no operation has that method and path. See {@link LambdaService.route}. */
export function lambdaRoute(request: RestRequest): { readonly action: string; readonly params: JsonObject } | null {
  const { method, query, headers, body } = request;
  const parts = request.path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const [version, kind, subject = '', last] = parts;
  const queried = Object.fromEntries([...new Set(query.keys())].map((key) => [key, query.getAll(key)]));
  if (version === '2015-03-31' && kind === 'functions' && last === 'invocations' && method === 'POST') {
    return {
      action: 'Invoke',
      params: {
        FunctionName: subject,
        Qualifier: query.get('Qualifier'),
        InvocationType: headers['x-amz-invocation-type'] ?? 'RequestResponse',
        DurableExecutionName: headers['x-amz-durable-execution-name'] ?? null,
        Payload: body,
      },
    };
  }
  if (version !== '2025-12-01') return null;
  if (kind === 'durable-executions' && parts.length === 3 && method === 'GET') {
    return { action: 'GetDurableExecution', params: { DurableExecutionArn: subject, ...queried } };
  }
  if (kind === 'durable-executions' && last === 'stop' && method === 'POST') {
    return { action: 'StopDurableExecution', params: { DurableExecutionArn: subject, Error: body } };
  }
  if (kind === 'functions' && last === 'durable-executions' && method === 'GET') {
    return { action: 'ListDurableExecutionsByFunction', params: { FunctionName: subject, ...queried } };
  }
  return null;
}

/** Lambda as a service of the cloud. */
export class LambdaService implements RestService {
  readonly name = 'lambda';
  readonly protocol = 'rest-json';
  readonly #engine: DurableEngine;

  /** @param engine The functions of its account and region; there are none elsewhere. */
  constructor(engine: DurableEngine) {
    this.#engine = engine;
  }

  isMutating(action: string): boolean {
    return action === 'Invoke' || action === 'StopDurableExecution';
  }

  route(request: RestRequest): { readonly action: string; readonly params: JsonObject } | null {
    return lambdaRoute(request);
  }

  /** A promise where the caller waits for the function. */
  handle(call: ApiCall): JsonObject | Promise<JsonObject> {
    const engine = this.#engine;
    if (call.accountId !== engine.accountId || call.region !== engine.region) {
      throw new ApiError('ResourceNotFoundException', `${call.accountId} has no function in ${call.region}`, 404);
    }
    switch (call.action) {
      case 'Invoke':
        return invoke(engine, call);
      case 'GetDurableExecution':
        return described(engine, call);
      case 'StopDurableExecution': {
        const arn = text(call.params.DurableExecutionArn);
        const body = text(call.params.Error);
        engine.stop(arn, body === '' ? null : (parse(body) as { ErrorType?: string }));
        return { StopTimestamp: (engine.execution(arn).endedAt ?? Date.now()) / 1000 };
      }
      case 'ListDurableExecutionsByFunction':
        return list(engine, call);
      default:
        return notModelled(call, 'the action');
    }
  }

  render(action: string, result: JsonObject): WireAnswer {
    const json = { 'content-type': 'application/json' };
    if (action !== 'Invoke') return { status: 200, headers: json, body: JSON.stringify(result) };
    const headers: Record<string, string> = { ...json, 'x-amz-executed-version': text(result.version) };
    if (result.executionArn) headers['x-amz-durable-execution-arn'] = text(result.executionArn);
    if (result.functionError) headers['x-amz-function-error'] = text(result.functionError);
    return { status: Number(result.status), headers, body: text(result.payload) };
  }
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new ApiError('InvalidRequestContentException', 'Could not parse request body into json');
  }
}

function invoke(engine: DurableEngine, call: ApiCall): JsonObject | Promise<JsonObject> {
  const type = invocationTypes.find((one) => one === call.params.InvocationType);
  if (!type)
    throw new ApiError(
      'InvalidParameterValueException',
      `InvocationType ${text(call.params.InvocationType)} is not known`,
    );
  const payload = text(call.params.Payload) || '{}';
  if (Buffer.byteLength(payload) > largestPayload[type]) {
    throw new ApiError(
      'RequestTooLargeException',
      `${Buffer.byteLength(payload)} byte payload is too large for the ${type} invocation type (limit ${largestPayload[type]} bytes)`,
      413,
    );
  }
  parse(payload);
  const target = engine.resolve(text(call.params.FunctionName), text(call.params.Qualifier) || undefined);
  const name = text(call.params.DurableExecutionName) || null;
  const { version } = target;
  if (type === 'DryRun') return { status: 204, version, payload: '' };
  if (target.deployed.kind === 'durable') return invokeDurable(engine, target, type, name, payload);
  if (name !== null) {
    throw new ApiError('InvalidParameterValueException', 'DurableExecutionName is only for durable functions.');
  }
  if (type === 'Event') {
    engine.queuePlain(target, payload);
    return { status: 202, version, payload: '' };
  }
  return engine
    .invokeResolved(target, payload)
    .then((answer) =>
      answer.ok
        ? { status: 200, version, payload: answer.payload }
        : failed(version, answer.errorType, answer.errorMessage),
    );
}

function invokeDurable(
  engine: DurableEngine,
  target: ResolvedFunction,
  type: 'RequestResponse' | 'Event',
  name: string | null,
  payload: string,
): JsonObject | Promise<JsonObject> {
  const { deployed, version } = target;
  if (
    type === 'RequestResponse' &&
    deployed.kind === 'durable' &&
    deployed.settings.executionTimeoutSeconds > longestSynchronous
  ) {
    throw new ApiError(
      'InvalidParameterValueException',
      'You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes',
    );
  }
  const { arn } = engine.startResolved(target, name, payload);
  if (type === 'Event') return { status: 202, version, executionArn: arn, payload: '' };
  return engine
    .settled(arn)
    .then(({ status, result, error }) =>
      status === 'SUCCEEDED'
        ? { status: 200, version, executionArn: arn, payload: result ?? 'null' }
        : { ...failed(version, error?.ErrorType ?? status, error?.ErrorMessage ?? ''), executionArn: arn },
    );
}

/** A function's own error: status 200, and a header that says so. */
function failed(version: string, errorType: string, errorMessage: string): JsonObject {
  return { status: 200, version, functionError: 'Unhandled', payload: JSON.stringify({ errorType, errorMessage }) };
}

/** Timestamps in REST JSON are epoch seconds. */
function summary(execution: ExecutionView): JsonObject {
  return {
    DurableExecutionArn: execution.arn,
    DurableExecutionName: execution.name,
    FunctionArn: execution.functionArn,
    Status: execution.status,
    StartTimestamp: execution.startedAt / 1000,
    ...(execution.endedAt === null ? {} : { EndTimestamp: execution.endedAt / 1000 }),
  };
}

function described(engine: DurableEngine, call: ApiCall): JsonObject {
  const { DurableExecutionArn, IncludeExecutionData, ...others } = call.params;
  for (const name of Object.keys(others)) notModelled(call, `parameter ${name}`);
  const execution = engine.execution(text(DurableExecutionArn));
  const { error } = execution;
  const metadata = { ...summary(execution), Version: execution.version };
  // As the SDK's model has it: true by default, and the error is part of the data.
  if ((IncludeExecutionData as readonly string[] | undefined)?.[0] === 'false') {
    return { ...metadata, ExecutionDataIncluded: false };
  }
  return {
    ...metadata,
    ExecutionDataIncluded: true,
    InputPayload: execution.input,
    ...(execution.result === null ? {} : { Result: execution.result }),
    ...(error === null ? {} : { Error: { ErrorType: error.ErrorType, ErrorMessage: error.ErrorMessage } }),
  };
}

function list(engine: DurableEngine, call: ApiCall): JsonObject {
  const { FunctionName, ...queried } = call.params;
  const asked = (name: string): readonly string[] => (queried[name] as readonly string[] | undefined) ?? [];
  const known = ['Qualifier', 'DurableExecutionName', 'Statuses', 'ReverseOrder', 'Marker', 'MaxItems'];
  for (const name of Object.keys(queried)) if (!known.includes(name)) notModelled(call, `parameter ${name}`);
  const [qualifier] = asked('Qualifier');
  const { deployed, version } = engine.resolve(
    text(FunctionName),
    qualifier ?? (text(FunctionName).includes(':') ? undefined : '1'),
  );
  const [name] = asked('DurableExecutionName');
  const found = engine
    .executions()
    .filter(
      (execution) => execution.functionName === deployed.settings.name && (!qualifier || execution.version === version),
    )
    .filter((execution) => !name || execution.name === name)
    .filter((execution) => asked('Statuses').length === 0 || asked('Statuses').includes(execution.status));
  const ordered = asked('ReverseOrder')[0] === 'true' ? found.toReversed() : found;
  const from = Number(asked('Marker')[0] ?? 0);
  const to = from + Number(asked('MaxItems')[0] ?? 100);
  return {
    DurableExecutions: ordered.slice(from, to).map(summary),
    ...(to < ordered.length ? { NextMarker: String(to) } : {}),
  };
}
