/** Lambda `cell`, durable: one account x region. */
import {
  type DurableExecutionConfig,
  type DurableLambdaHandler,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js';
import type { Wire } from '../aws/clients.ts';
import { type Deployment, deploymentFromEnvironment } from '../aws/deployment.ts';
import { createOpenCell } from '../aws/open-cell.ts';
import { TEMPO } from '../tempo.ts';
import { cellWorkflow } from './workflow.ts';

/** The handler for a deployment; `wire` and `durable` are how a simulated region takes AWS's place. */
export function createHandler(
  deployment: Deployment,
  wire?: Wire,
  durable?: DurableExecutionConfig,
  tempo = TEMPO,
): DurableLambdaHandler {
  const { restartFunctionArn } = deployment;
  return withDurableExecution(
    cellWorkflow({ openCell: createOpenCell(deployment, wire), restartFunctionArn, tempo }),
    durable,
  );
}

let made: DurableLambdaHandler | undefined;

/** What Lambda calls. The environment is read at the first event, so that a wrong setting is an answer in the log. */
export const handler: DurableLambdaHandler = (event, context) => {
  made ??= createHandler(deploymentFromEnvironment(process.env));
  return made(event, context);
};
