/** Lambda `cell`, durable: one account x region. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { type DurableExecutionConfig, withDurableExecution } from '@aws/durable-execution-sdk-js';
import type { Wire } from '../aws/clients.ts';
import { type Deployment, deploymentFromEnvironment, nextFunction } from '../aws/deployment.ts';
import { createOpenCell } from '../aws/open-cell.ts';
import { lazily } from '../lazily.ts';
import { lambdaTelemetry, type Telemetry } from '../telemetry.ts';
import { TEMPO } from '../tempo.ts';
import type { CellInput } from './survey.ts';
import { cellWorkflow } from './workflow.ts';

/** The handler for a deployment; `wire` and `durable` are how a simulated region takes AWS's place. */
export function createHandler(
  deployment: Deployment,
  telemetry: Telemetry,
  wire?: Wire,
  durable?: DurableExecutionConfig,
  tempo = TEMPO,
) {
  const workflow = cellWorkflow({
    openCell: createOpenCell(deployment, wire),
    restartFunctionArn: nextFunction(deployment, 'restart'),
    tempo,
  });
  return withDurableExecution((input: CellInput, context: DurableContext) => {
    context.configureLogger({ customLogger: telemetry.logger });
    return workflow(input, context);
  }, durable);
}

/** What Lambda calls. */
export const handler = lazily(() => createHandler(deploymentFromEnvironment(process.env), lambdaTelemetry()));
