/**
 * AWS's wire protocols, from the server's side: EC2 Query, AWS Query (both XML), AWS JSON 1.0 and 1.1, REST JSON.
 * Which one is spoken is read from the request, so that a service answers every client that AWS's own would.
 */
import { gunzipSync } from 'node:zlib';
import { XMLBuilder } from 'fast-xml-parser';
import { ApiError, type Json, type JsonObject, type Service } from './core.ts';
import { isObject } from './parameters.ts';

/** A request as it stands on the wire. Header names in lower case; `path` with its query string. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** An answer as it goes onto the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A service whose actions are told apart by method and path. It may answer later, like a function that has to run. */
export interface RestService extends Service {
  readonly protocol: 'rest-json';
  /** Which action a request asks for, and its parameters from path, query, headers and body; null where none. */
  route(request: RestRequest): { readonly action: string; readonly params: JsonObject } | null;
  /** The answer on the wire where it is more than status 200 with the result as JSON. */
  render?(action: string, result: JsonObject): WireAnswer;
}
export interface RestRequest {
  readonly method: string;
  /** Without the query string, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Wire = 'ec2-query' | 'aws-query' | 'json-1.0' | 'json-1.1' | 'rest-json';

/** A request as far as its protocol tells: what is asked for and how to answer. */
export interface Understood {
  readonly wire: Wire;
  readonly action: string;
  readonly params: JsonObject;
}

/** Reads a request of a service. @throws ApiError where it is malformed or of a protocol the service does not speak. */
export function understand(request: WireRequest, service: Service): Understood {
  const body = textOf(request);
  const target = request.headers['x-amz-target'];
  if (target !== undefined)
    return { wire: jsonWire(request), action: target.split('.').at(-1) ?? '', params: json(body) };
  if (isRest(service)) {
    const [path = '/', search = ''] = request.path.split('?', 2);
    const query = new URLSearchParams(search);
    const routed = service.route({ method: request.method, path, query, headers: request.headers, body });
    if (routed === null)
      throw new ApiError('UnknownOperationException', `${request.method} ${path}: no such operation`, 404);
    return { wire: 'rest-json', ...routed };
  }
  if (request.headers['smithy-protocol'] === 'rpc-v2-cbor') {
    throw new ApiError(
      'NotModelledByTheEmbeddedRegion',
      `${service.name}: the protocol rpc-v2-cbor is not modelled`,
      501,
    );
  }
  const search = request.method === 'GET' ? (request.path.split('?', 2)[1] ?? '') : body;
  const { Action, Version, ...params } = unflatten(new URLSearchParams(search));
  void Version;
  if (typeof Action !== 'string') throw new ApiError('MissingAction', 'The request is missing an action.');
  return { wire: service.protocol === 'ec2-query' ? 'ec2-query' : 'aws-query', action: Action, params };
}

/** The protocol to answer in when the request could not be understood. */
export function wireOf(request: WireRequest, service: Service | undefined): Wire {
  if (request.headers['x-amz-target'] !== undefined) return jsonWire(request);
  return service?.protocol ?? 'aws-query';
}

function jsonWire(request: WireRequest): Wire {
  return request.headers['content-type']?.includes('1.0') ? 'json-1.0' : 'json-1.1';
}

function isRest(service: Service): service is RestService {
  return service.protocol === 'rest-json';
}

function textOf({ body, headers }: WireRequest): string {
  if (typeof body === 'string') return body;
  // A view, not Buffer.from(body): the SDK's bodies warn when they are asked for their value.
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
}

function json(body: string): JsonObject {
  let value: unknown;
  try {
    value = body === '' ? {} : JSON.parse(body);
  } catch {
    throw new ApiError('SerializationException', 'The request body is not JSON');
  }
  if (!isObject(value as Json)) throw new ApiError('SerializationException', 'The request body is not a JSON object');
  return value as JsonObject;
}

type Node = { [key: string]: Node | string };

/** `Filter.1.Value.2=x` and `Tags.member.1.Key=x` as nested lists and structures. */
export function unflatten(flat: URLSearchParams): JsonObject {
  const root: Node = Object.create(null);
  for (const [key, value] of flat) {
    const path = key.split('.');
    const last = path.pop() ?? '';
    let node = root;
    for (const part of path) {
      const next = node[part] ?? (Object.create(null) as Node);
      node[part] = next;
      if (typeof next === 'string') throw new ApiError('MalformedQueryString', `${key}: both a value and a structure`);
      node = next;
    }
    if (node[last] !== undefined) throw new ApiError('MalformedQueryString', `${key} is there twice`);
    node[last] = value;
  }
  return Object.fromEntries(Object.entries(root).map(([key, value]) => [key, collapse(value)]));
}

function collapse(value: Node | string): Json {
  if (typeof value === 'string') return value;
  const keys = Object.keys(value);
  const [only] = keys;
  const inner = only === 'member' && keys.length === 1 ? value.member : undefined;
  if (inner !== undefined && typeof inner !== 'string') return collapse(inner);
  if (keys.every((key) => /^[1-9]\d*$/.test(key))) {
    return keys.toSorted((a, b) => Number(a) - Number(b)).map((key) => collapse(value[key] ?? ''));
  }
  return Object.fromEntries(keys.map((key) => [key, collapse(value[key] ?? '')]));
}

const XML = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', suppressBooleanAttributes: false });
const XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACES: Readonly<Record<string, string>> = {
  ec2: 'http://ec2.amazonaws.com/doc/2016-11-15/',
  sts: 'https://sts.amazonaws.com/doc/2011-06-15/',
  sns: 'http://sns.amazonaws.com/doc/2010-03-31/',
  monitoring: 'http://monitoring.amazonaws.com/doc/2010-08-01/',
  elasticloadbalancing: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
};

/** Lists become repeated `item` (EC2) or `member` elements; what is null or undefined is absent. */
function xmlOf(value: Json, listElement: string): unknown {
  if (Array.isArray(value)) return { [listElement]: value.map((item: Json) => xmlOf(item, listElement)) };
  if (isObject(value)) {
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, inner]) =>
        inner === undefined || inner === null ? [] : [[key, xmlOf(inner, listElement)]],
      ),
    );
  }
  // XML has no control characters but these; AWS refuses or replaces the others.
  return String(value).replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');
}

/** The answer of a call that succeeded. */
export function renderResult(
  understood: Understood,
  service: Service,
  result: JsonObject,
  requestId: string,
): WireAnswer {
  const { wire, action } = understood;
  const namespace = NAMESPACES[service.name] ?? `http://${service.name}.amazonaws.com/doc/`;
  if (wire === 'ec2-query') {
    const content = { '@xmlns': namespace, requestId, ...(xmlOf(result, 'item') as object) };
    return xmlAnswer(200, requestId, { [`${action}Response`]: content });
  }
  if (wire === 'aws-query') {
    return xmlAnswer(200, requestId, {
      [`${action}Response`]: {
        '@xmlns': namespace,
        [`${action}Result`]: xmlOf(result, 'member'),
        ResponseMetadata: { RequestId: requestId },
      },
    });
  }
  if (wire === 'rest-json' && isRest(service) && service.render !== undefined) {
    const rendered = service.render(action, result);
    return { ...rendered, headers: { ...rendered.headers, 'x-amzn-requestid': requestId } };
  }
  return jsonAnswer(200, wire, requestId, result);
}

/** The answer of a call that failed. */
export function renderError(wire: Wire, error: ApiError, requestId: string): WireAnswer {
  const { code, message, status } = error;
  const printable = xmlOf(message, 'item');
  if (wire === 'ec2-query') {
    const errors = { Error: { Code: code, Message: printable } };
    return xmlAnswer(status, requestId, { Response: { Errors: errors, RequestID: requestId } });
  }
  if (wire === 'aws-query') {
    const type = status >= 500 ? 'Receiver' : 'Sender';
    return xmlAnswer(status, requestId, {
      ErrorResponse: { Error: { Type: type, Code: code, Message: printable }, RequestId: requestId },
    });
  }
  // Some errors carry more than a message, like the reasons of a cancelled transaction.
  const answer = jsonAnswer(status, wire, requestId, { __type: code, message, ...error.fields });
  return { ...answer, headers: { ...answer.headers, 'x-amzn-errortype': code } };
}

function xmlAnswer(status: number, requestId: string, document: object): WireAnswer {
  return {
    status,
    headers: { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': requestId },
    body: XML_HEAD + XML.build(document),
  };
}

function jsonAnswer(status: number, wire: Wire, requestId: string, value: JsonObject): WireAnswer {
  const type =
    wire === 'json-1.0'
      ? 'application/x-amz-json-1.0'
      : wire === 'json-1.1'
        ? 'application/x-amz-json-1.1'
        : 'application/json';
  return { status, headers: { 'content-type': type, 'x-amzn-requestid': requestId }, body: JSON.stringify(value) };
}
