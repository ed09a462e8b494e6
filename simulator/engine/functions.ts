/** The functions of one account and region, and the ways AWS lets one name them. */
import type { DurableExecutionClient, DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import type { Context } from 'aws-lambda';
import { ApiError } from '../core.ts';

/** How a function is deployed. */
export interface FunctionSettings {
  /** The name of the function, without version or alias. */
  readonly name: string;
  /** Aliases; all of them point to version 1. Default: none. */
  readonly aliases?: readonly string[];
  /** How long one invocation may run. Unit: seconds. Range: 1 to 900. Default 900. */
  readonly timeoutSeconds?: number;
}

/** How a durable function is deployed. */
export interface DurableFunctionSettings extends FunctionSettings {
  /** How long a whole execution may last. Unit: seconds. Range: 1 to 31,622,400 (366 days). */
  readonly executionTimeoutSeconds: number;
}

/** What the engine gives to the maker of a durable handler. */
export interface DurableRuntime {
  /** For `withDurableExecution(handler, { durableExecutionClient })`. */
  readonly durableExecutionClient: DurableExecutionClient;
}

/**
 * Makes the Lambda handler of a durable function. What the handler logs is the maker's affair: hand the workflow a
 * logger here (`context.configureLogger({ customLogger })`), since the durable SDK's own one writes to stdout.
 */
export type DurableHandlerMaker = (runtime: DurableRuntime) => DurableLambdaHandler;

/** The handler of an ordinary function; what it returns is serialised as JSON, as Lambda does. */
export type PlainHandler = (event: unknown, context: Context) => Promise<unknown>;

/** A function as the engine holds it. */
export type DeployedFunction =
  | { readonly kind: 'durable'; readonly settings: DurableFunctionSettings; readonly handler: DurableLambdaHandler }
  | { readonly kind: 'plain'; readonly settings: FunctionSettings; readonly handler: PlainHandler };

/** A function and the version that a qualifier stands for (executions stay with the version they began on). */
export interface ResolvedFunction {
  readonly deployed: DeployedFunction;
  /** `$LATEST` or a number. */
  readonly version: string;
  /** As it was named, in full, with the qualifier if one was given. */
  readonly invokedArn: string;
}

const publishedVersion = '1';

/** The only function that AWS names so: a name, `name:qualifier`, a partial ARN or a whole one. */
const reference =
  /^(?:(?:arn:(?:aws[a-zA-Z-]*):lambda:([a-z0-9-]+):)?(\d{12}):function:|function:)?([a-zA-Z0-9-_]{1,64})(?::(\$LATEST|[a-zA-Z0-9-_]{1,128}))?$/;

/** Functions by name. */
export class FunctionRegistry {
  readonly #accountId: string;
  readonly #region: string;
  readonly #functions = new Map<string, DeployedFunction>();

  constructor(accountId: string, region: string) {
    this.#accountId = accountId;
    this.#region = region;
  }

  /** @throws RangeError for settings that Lambda would refuse, or a name that is taken. */
  add(deployed: DeployedFunction): void {
    const { name, timeoutSeconds = 900 } = deployed.settings;
    if (!/^[a-zA-Z0-9-_]{1,64}$/.test(name)) throw new RangeError(`${name} is no name of a function`);
    if (this.#functions.has(name)) throw new RangeError(`function ${name} exists already`);
    if (!(timeoutSeconds >= 1 && timeoutSeconds <= 900)) throw new RangeError(`${name}: timeout ${timeoutSeconds} s`);
    if (deployed.kind === 'durable') {
      const { executionTimeoutSeconds: seconds } = deployed.settings;
      if (!(seconds >= 1 && seconds <= 31_622_400)) throw new RangeError(`${name}: execution timeout ${seconds} s`);
    }
    this.#functions.set(name, deployed);
  }

  /**
   * The function that a caller means.
   *
   * @throws ApiError `InvalidParameterValueException` for a malformed name and for a durable function without version
   *   or alias; `ResourceNotFoundException` for what does not exist here; `AccessDeniedException` for other accounts.
   */
  resolve(named: string, qualifier?: string): ResolvedFunction {
    const parts = reference.exec(named);
    if (!parts) throw new ApiError('InvalidParameterValueException', `1 validation error detected: ${named}`);
    const [, region = this.#region, accountId = this.#accountId, name = '', inName] = parts;
    if (inName && qualifier && inName !== qualifier) {
      throw new ApiError(
        'InvalidParameterValueException',
        'The derived qualifier from the function name does not match the specified qualifier.',
      );
    }
    const wanted = inName ?? qualifier;
    const arn = `arn:aws:lambda:${region}:${accountId}:function:${name}`;
    if (accountId !== this.#accountId) {
      throw new ApiError('AccessDeniedException', `not authorized to perform: lambda:InvokeFunction on ${arn}`, 403);
    }
    const deployed = region === this.#region ? this.#functions.get(name) : undefined;
    if (!deployed) throw new ApiError('ResourceNotFoundException', `Function not found: ${arn}`, 404);
    if (!wanted) {
      if (deployed.kind === 'durable') {
        throw new ApiError(
          'InvalidParameterValueException',
          'You cannot invoke a durable function using an unqualified ARN.',
        );
      }
      return { deployed, version: '$LATEST', invokedArn: arn };
    }
    const version =
      wanted === '$LATEST' || wanted === publishedVersion
        ? wanted
        : deployed.settings.aliases?.includes(wanted)
          ? publishedVersion
          : null;
    if (!version) throw new ApiError('ResourceNotFoundException', `Function not found: ${arn}:${wanted}`, 404);
    return { deployed, version, invokedArn: `${arn}:${wanted}` };
  }
}
