/** The cloud as a request handler of AWS's SDK for JavaScript v3: no sockets, so that a virtual clock never waits. */
import type { WireAnswer, WireRequest } from './protocols.ts';

/** What an SDK client tells its signer of itself; each value may be a provider of it. */
interface SignerInit {
  readonly credentials: Provided<{ readonly accessKeyId: string; readonly sessionToken?: string }>;
  readonly region: Provided<string>;
  readonly service: string;
}
type Provided<T> = T | (() => Promise<T>);

/**
 * Give it to a client as `signerConstructor`: it says who asks and for which service, as AWS's own signer does, and
 * leaves out the signature, which the embedded region does not check.
 */
export class EmbeddedSigner {
  readonly #init: SignerInit;

  constructor(init: SignerInit) {
    this.#init = init;
  }

  async sign<R extends { readonly headers: Record<string, string> }>(
    request: R,
    { signingRegion, signingService }: { readonly signingRegion?: string; readonly signingService?: string } = {},
  ): Promise<R> {
    const { accessKeyId, sessionToken } = await provided(this.#init.credentials);
    const region = signingRegion ?? (await provided(this.#init.region));
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    const scope = `${day}/${region}/${signingService ?? this.#init.service}/aws4_request`;
    request.headers.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=host, Signature=none`;
    if (sessionToken !== undefined) request.headers['x-amz-security-token'] = sessionToken;
    return request;
  }
}

function provided<T extends object | string>(value: Provided<T>): T | Promise<T> {
  return typeof value === 'function' ? value() : value;
}

/** What answers requests, like an `EmbeddedCloud`. */
export interface Answering {
  handle(request: WireRequest): Promise<WireAnswer>;
}

/** A request as the SDK hands it to its handler, as far as it matters. */
interface SdkRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}
interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}
interface SdkHandlerOptions {
  readonly abortSignal?: unknown;
}

/** Give it to a client as `requestHandler`. */
export interface InProcessHandler {
  readonly metadata: { readonly handlerProtocol: string };
  handle(request: SdkRequest, options?: SdkHandlerOptions): Promise<{ response: SdkResponse }>;
  updateHttpClientConfig(key: never, value: never): void;
  httpHandlerConfigs(): Record<string, never>;
  destroy(): void;
}

/** A request handler that asks the cloud directly. A broken connection rejects as the SDK's own handler would. */
export function inProcessHandler(cloud: Answering): InProcessHandler {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request, options = {}) {
      const signal = options.abortSignal instanceof AbortSignal ? options.abortSignal : null;
      if (signal?.aborted) throw aborted();
      const answering = answer(cloud, request);
      if (signal === null) return { response: await answering };
      let onAbort = (): void => undefined;
      const abortion = new Promise<never>((_, reject) => {
        onAbort = () => reject(aborted());
        signal.addEventListener('abort', onAbort, { once: true });
      });
      try {
        return { response: await Promise.race([answering, abortion]) };
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    destroy: () => undefined,
  };
}

async function answer(cloud: Answering, request: SdkRequest): Promise<SdkResponse> {
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const path = `${request.path}${queryOf(request.query)}`;
  const body = bodyOf(request.body);
  try {
    const {
      status,
      headers: answered,
      body: text,
    } = await cloud.handle({ method: request.method, path, headers, body });
    return { statusCode: status, headers: { ...answered }, body: Buffer.from(text) };
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ConnectionLost') throw error;
    // As @smithy/node-http-handler reports a reset connection.
    throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError', code: 'ECONNRESET', cause: error });
  }
}

function aborted(): Error {
  return Object.assign(new Error('Request aborted'), { name: 'AbortError' });
}

function queryOf(query: SdkRequest['query']): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map(
      (each) => `${encodeURIComponent(name)}=${encodeURIComponent(each)}`,
    ),
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function bodyOf(body: unknown): string | Uint8Array {
  if (body === undefined || body === null) return '';
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  throw new TypeError('the embedded region takes no streams as a request body');
}
