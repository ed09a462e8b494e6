/** GetConsoleOutput. */
import { type ApiCall, ApiError, type JsonObject } from '../core.ts';
import type { Parameters } from '../parameters.ts';
import type { CloudCell } from './cell.ts';
import { isMac, supportsLatestConsole } from './types.ts';

/** Output is absent where nothing was written or posted: that is no sign of health. */
export function getConsoleOutput(
  cell: CloudCell,
  _call: ApiCall,
  parameters: Parameters,
  dryRun: () => void,
): JsonObject {
  const id = parameters.required('InstanceId');
  const latest = parameters.boolean('Latest');
  parameters.done();
  const [instance] = cell.require([id]);
  dryRun();
  if (instance === undefined)
    throw new ApiError('MissingParameter', 'The request must contain the parameter InstanceId');
  // AWS documents nothing of consoles of Mac hosts; taken to have none, until somebody tries.
  if (isMac(instance.type)) {
    throw new ApiError('UnsupportedOperation', 'This instance type does not support retrieving console output');
  }
  if (latest && !supportsLatestConsole(instance.type)) {
    throw new ApiError(
      'UnsupportedOperation',
      'This instance type does not support retrieving the latest console logs',
    );
  }
  const text = latest ? instance.console.latest(instance.launchTime) : instance.console.posted(instance.launchTime);
  return {
    instanceId: id,
    timestamp: new Date(text.updatedAt).toISOString(),
    output: text.bytes === null ? undefined : Buffer.from(text.bytes).toString('base64'),
  };
}
