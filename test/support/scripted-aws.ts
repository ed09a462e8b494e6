/**
 * AWS as a script: real SDK clients, a wire that answers what the test wrote from AWS's documentation and records what
 * was asked. A request that nobody scripted is an error, so that no call goes unseen.
 */
import type { Wire } from '../../lambdas/aws/clients.ts';
import { VirtualTime } from '../../simulator/virtual-time.ts';

/** One request as it went over the wire. */
export interface RecordedRequest {
  /** `service:Action`, like `ec2:DescribeInstances`; for Lambda `lambda:<METHOD>`. */
  readonly call: string;
  readonly region: string;
  readonly hostname: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Query protocol: the form's fields. JSON protocols: the body. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Epoch milliseconds of the (virtual) clock. */
  readonly at: number;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A reply, what makes one of a request, or an error that the network throws. */
export type Step = Reply | Error | ((request: RecordedRequest) => Reply | Promise<Reply>);
/** A list is used up in order; a single step answers every request of its kind. */
export type Script = Readonly<Record<string, Step | readonly Step[]>>;

export interface ScriptedAws {
  readonly wire: Wire;
  readonly requests: readonly RecordedRequest[];
  /** The requests of one kind. */
  of(call: string): readonly RecordedRequest[];
}

interface HttpRequest {
  readonly method: string;
  readonly hostname: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export function scriptedAws(script: Script): ScriptedAws {
  const requests: RecordedRequest[] = [];
  const used = new Map<string, number>();
  const next = (call: string): Step => {
    const step = script[call];
    if (step === undefined) throw new Error(`nobody scripted ${call}`);
    if (!Array.isArray(step)) return step as Step;
    const n = used.get(call) ?? 0;
    used.set(call, n + 1);
    const found: Step | undefined = step[n];
    if (found === undefined) throw new Error(`${call} was scripted ${step.length} times, not ${n + 1}`);
    return found;
  };
  const handler = {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(http: HttpRequest) {
      const request = recorded(http);
      requests.push(request);
      const step = next(request.call);
      if (step instanceof Error) throw step;
      const reply = typeof step === 'function' ? await step(request) : step;
      const headers = { 'content-type': reply.contentType, ...reply.headers };
      return { response: { statusCode: reply.status, headers, body: Buffer.from(reply.body) } };
    },
    destroy() {},
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
  return {
    wire: {
      requestHandler: handler as unknown as NonNullable<Wire['requestHandler']>,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    },
    requests,
    of: (call) => requests.filter((request) => request.call === call),
  };
}

function recorded(http: HttpRequest): RecordedRequest {
  const body = typeof http.body === 'string' ? http.body : new TextDecoder().decode(http.body);
  const [, region = '', service = ''] =
    /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//.exec(http.headers.authorization ?? '') ?? [];
  const target = http.headers['x-amz-target'];
  const form = http.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  const params: Record<string, unknown> = form
    ? Object.fromEntries(new URLSearchParams(body))
    : body === ''
      ? {}
      : JSON.parse(body);
  const action = target?.split('.').at(-1) ?? (form ? String(params.Action) : http.method);
  const { hostname, path, headers } = http;
  return { call: `${service}:${action}`, region, hostname, path, headers, params, at: Date.now() };
}

/** An answer of EC2, STS or SNS: XML of the action's result. */
export function xml(action: string, body: string): Reply {
  const text = `<?xml version="1.0" encoding="UTF-8"?><${action}Response><requestId>r</requestId>${body}</${action}Response>`;
  return { status: 200, contentType: 'text/xml;charset=UTF-8', body: text };
}

/** A refusal of EC2. */
export function ec2Error(code: string, message: string, status = 400): Reply {
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const body = `<?xml version="1.0" encoding="UTF-8"?><Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`;
  return { status, contentType: 'text/xml;charset=UTF-8', body };
}

/** An answer of a JSON service. */
export function json(body: object): Reply {
  return { status: 200, contentType: 'application/x-amz-json-1.1', body: JSON.stringify(body) };
}

/** A refusal of a JSON service. */
export function jsonError(type: string, message = '', status = 400): Reply {
  return { status, contentType: 'application/x-amz-json-1.1', body: JSON.stringify({ __type: type, message }) };
}

/** A connection that broke, as Node says it. */
export function brokenConnection(code = 'ECONNRESET'): Error {
  return Object.assign(new Error(`connect ${code} 127.0.0.1:443`), { code });
}

/** Runs `work` while the clock jumps from timer to timer: waits cost nothing, and what they add up to can be told. */
export async function inVirtualTime<T>(work: () => Promise<T>): Promise<{ value: T; milliseconds: number }> {
  const time = VirtualTime.install({ seed: 1 });
  try {
    const start = time.now;
    let outcome: { value: T } | { thrown: unknown } | undefined;
    work().then(
      (value) => {
        outcome = { value };
      },
      (thrown: unknown) => {
        outcome = { thrown };
      },
    );
    let end = start;
    await time.drive(() => {
      end = time.now;
      return outcome !== undefined;
    });
    if (outcome && 'value' in outcome) return { value: outcome.value, milliseconds: end - start };
    throw (outcome as unknown as { thrown: unknown }).thrown;
  } finally {
    time.uninstall();
  }
}
