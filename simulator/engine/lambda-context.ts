import type { Context } from 'aws-lambda';
import type { FunctionSettings } from './functions.ts';

/** The second argument of a handler. */
export function lambdaContext(requestId: string, settings: FunctionSettings, version: string, arn: string): Context {
  const endsAt = Date.now() + (settings.timeoutSeconds ?? 900) * 1000;
  const notModelled = () => {
    throw new Error('context.done, fail and succeed are gone since Node 24: return a promise');
  };
  return {
    awsRequestId: requestId,
    functionName: settings.name,
    functionVersion: version,
    invokedFunctionArn: arn,
    memoryLimitInMB: '512',
    logGroupName: `/aws/lambda/${settings.name}`,
    logStreamName: `${version}/${requestId}`,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, endsAt - Date.now()),
    done: notModelled,
    fail: notModelled,
    succeed: notModelled,
  };
}
