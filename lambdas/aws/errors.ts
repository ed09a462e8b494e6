/** AWS's failures in words: what kind of failure a code is, and what a person does next. */
import type { CallError } from '../../domain/finding.ts';
import { printable } from '../../domain/printable.ts';

/** Codes that mean "not done, ask again later" (the list of the SDK's retry package). */
const THROTTLES = new Set([
  'BandwidthLimitExceeded',
  'EC2ThrottledException',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TransactionInProgressException',
]);

const CAPACITY = new Set([
  'InsufficientInstanceCapacity',
  'InsufficientHostCapacity',
  'InsufficientReservedInstanceCapacity',
  'InsufficientCapacityOnHost',
  'InsufficientAddressCapacity',
  'InsufficientCapacity',
  'InstanceLimitExceeded',
  'VcpuLimitExceeded',
  'MaxSpotInstanceCountExceeded',
]);

const DENIED = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthorizationError',
  'AuthorizationErrorException',
  'UnauthorizedOperation',
  'Client.UnauthorizedOperation',
  'NotAuthorized',
  'KMSAccessDeniedException',
]);

/** Failures of our own side: no request was made. */
const NOT_ASKED = new Set(['ERR_INVALID_URL', 'NoMemberRole']);

const CREDENTIALS = new Set([
  'AuthFailure',
  'CredentialsProviderError',
  'TokenProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'RequestExpired',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
  'UnrecognizedClientException',
]);

const NO_ANSWER = new Set([
  'AbortError',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'NetworkingError',
  'RequestTimeout',
  'RequestTimeoutException',
  'TimeoutError',
]);

/** Answers that will not change by asking again: the instance is gone, its type or state forbids it. */
const DEFINITIVE = new Set([
  'IncorrectInstanceState',
  'IncorrectState',
  'InvalidInstanceID.Malformed',
  'InvalidInstanceID.NotFound',
  'OperationNotPermitted',
  'UnsupportedOperation',
]);

/** Start failed because AWS has no room for the machine now: worth a retry in minutes, and an alarm. */
export function isCapacityError(code: string): boolean {
  return CAPACITY.has(code);
}

/** Code of an answer that the SDK could not read. */
const UNREADABLE = 'UnreadableAnswer';

/** Whether what was thrown is a mistake in this program, and no failure of a call: it must not be reported as AWS's. */
export function isDefect(thrown: unknown): boolean {
  const mistake = thrown instanceof TypeError || thrown instanceof RangeError || thrown instanceof ReferenceError;
  return mistake && !('code' in thrown) && !('$response' in thrown);
}

/** What a thrown failure of an SDK call was. `lost`: whether the request took effect is not known. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly throttle: boolean;
  readonly lost: boolean;
}

/** Reads code, message and meaning out of whatever an SDK call threw. */
export function readFailure(thrown: unknown): Failure {
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as {
    name?: unknown;
    code?: unknown;
    Code?: unknown;
    message?: unknown;
    $metadata?: { httpStatusCode?: number };
    $response?: { statusCode?: number };
    errors?: readonly unknown[];
  };
  const status = error.$metadata?.httpStatusCode ?? error.$response?.statusCode;
  const code = codeOf(error, status);
  const throttle = THROTTLES.has(code) || status === 429;
  const notAsked = status === undefined && (CREDENTIALS.has(code) || NOT_ASKED.has(code));
  // A 2xx that the SDK could not read may have done its work; a 4xx surely has not.
  const uncertain = status === undefined || status < 300 || status >= 500;
  const lost = !throttle && !isCapacityError(code) && !notAsked && (NO_ANSWER.has(code) || uncertain);
  const text = typeof error.message === 'string' && error.message !== '' ? error.message : String(thrown);
  const message =
    code === UNREADABLE || code === `HTTP ${status}`
      ? `the endpoint answered HTTP ${status} with what is no answer of this service`
      : text;
  return { code, message: oneLine(message, 400), throttle, lost };
}

function codeOf(
  error: { name?: unknown; code?: unknown; Code?: unknown; errors?: readonly unknown[] },
  status?: number,
) {
  if (typeof error.code === 'string' && (NO_ANSWER.has(error.code) || NOT_ASKED.has(error.code))) return error.code;
  // Node answers a refused localhost with an AggregateError of one refusal for each address family.
  for (const inner of error.errors ?? []) {
    const code = (inner as { code?: unknown } | null)?.code;
    if (typeof code === 'string' && NO_ANSWER.has(code)) return code;
  }
  if (error.name === 'SyntaxError' && status !== undefined) return status < 300 ? UNREADABLE : `HTTP ${status}`;
  const name = [error.name, error.Code, error.code].find((c) => typeof c === 'string' && c !== '' && c !== 'Error');
  if (typeof name === 'string' && name !== 'UnknownError' && name !== 'Unknown') return name;
  return status === undefined ? 'UnknownError' : `HTTP ${status}`;
}

/** Untrusted text as one printable line of at most `max` characters. */
export function oneLine(text: string, max: number): string {
  const line = printable(text).replace(/ {2,}/g, ' ').trim();
  return line.length <= max ? line : `${line.slice(0, max - 1)}…`;
}

/** A failure as the value that reports carry: which call, what happened, what a person does next. */
export function toCallError(call: string, failure: Failure, instanceId?: string): CallError {
  return callError({
    call,
    code: failure.code,
    message: failure.message,
    next: nextStep(call, failure),
    kind: kindOf(failure.code),
    ...(instanceId === undefined ? {} : { instanceId }),
  });
}

/** A {@link CallError} for what AWS did answer but the adapter cannot accept. */
export function callError(error: Omit<CallError, 'kind'> & { kind?: CallError['kind'] }): CallError {
  return { kind: 'failed', ...error };
}

function nextStep(call: string, { code, message, throttle, lost }: Failure): string {
  const named = /not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)/.exec(message)?.[1];
  if (named === 'sts:AssumeRole') return 'deploy the member role in that account and let this role assume it';
  if (DENIED.has(code)) return `grant ${named ?? call} to the role or user that makes the call`;
  if (CREDENTIALS.has(code)) return 'log in again or give valid credentials (aws sso login, AWS_PROFILE, --profile)';
  if (code === 'OptInRequired') return 'enable this region for the account, or leave it out of the scope';
  if (throttle) return 'lower quotaShare, or run again when fewer others call this API in this account and region';
  if (isCapacityError(code)) return 'wait for capacity, or start it in another zone or as another instance type';
  if (NO_ANSWER.has(code) || code === UNREADABLE)
    return 'check the endpoint, the region name and the network path to it, then run again';
  const known = KNOWN[code];
  if (known) return known;
  if (lost) return 'AWS gave no usable answer: look at the AWS Health Dashboard and run again';
  return `read the message; if ${call} cannot work so, report it with this code`;
}

const KNOWN: Readonly<Record<string, string>> = {
  'InvalidInstanceID.NotFound': 'nothing: the instance does not exist (any more)',
  'InvalidInstanceID.Malformed': 'correct the instance id',
  UnsupportedOperation: 'look at this instance by hand: EC2 does not support the operation for it',
  OperationNotPermitted: 'remove the stop protection if the instance may be stopped',
  IncorrectInstanceState: 'look at the state of the instance; it changed meanwhile',
  IncorrectState: 'look at the state of the instance; it changed meanwhile',
  ERR_INVALID_URL: 'correct the endpoint: it is not a URL like http://127.0.0.1:4599',
  InvalidDocument: 'deploy the cell stack in this account and region',
  InvalidDocumentVersion: 'deploy the cell stack in this account and region',
  InvalidDocumentContent: 'deploy the cell stack in this account and region',
  NoMemberRole: 'set the member role and deploy it in that account, or take the account out of the scope',
  DurableExecutionAlreadyStartedException: 'nothing: this run was already started with another input',
};

function kindOf(code: string): CallError['kind'] {
  if (isCapacityError(code)) return 'capacity';
  return DEFINITIVE.has(code) ? 'definitive' : 'failed';
}
