import type { ErrorObject } from '@aws/durable-execution-sdk-js';

/** An error in the shape in which the AWS SDK hands Lambda's to its caller; the durable SDK decides by it what to retry. */
export class LambdaApiError extends Error {
  override readonly name: string;
  readonly $metadata: { readonly httpStatusCode: number };
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = code;
    this.$metadata = { httpStatusCode: status };
  }
}

/** An error as Lambda reports it. */
export function errorObject(error: unknown): ErrorObject {
  return error instanceof Error
    ? { ErrorType: error.name, ErrorMessage: error.message }
    : { ErrorType: 'Error', ErrorMessage: String(error) };
}
