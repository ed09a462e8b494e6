/** Lambda `sweep`, durable: one run over its cells. */
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { type DurableExecutionConfig, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { createHomeClients, type Wire } from '../aws/clients.ts';
import { type Deployment, deploymentFromEnvironment, nextFunction } from '../aws/deployment.ts';
import { createHubPorts } from '../aws/open-cell.ts';
import { lazily } from '../lazily.ts';
import { lambdaTelemetry, type Telemetry } from '../telemetry.ts';
import { type SweepInput, sweepWorkflow } from './workflow.ts';

/** The handler for a deployment; `wire` and `durable` are how a simulated region takes AWS's place. */
export function createHandler(
  deployment: Deployment,
  telemetry: Telemetry,
  wire?: Wire,
  durable?: DurableExecutionConfig,
) {
  const clients = createHomeClients(deployment.home.region, wire);
  const openHub = () => createHubPorts(deployment, wire, clients);
  const measure = telemetry.measure.bind(telemetry);
  const workflow = sweepWorkflow({ openHub, cellFunctionArn: nextFunction(deployment, 'cell'), measure });
  return withDurableExecution((input: SweepInput, context: DurableContext) => {
    context.configureLogger({ customLogger: telemetry.logger });
    return workflow(input, context);
  }, durable);
}

/** What Lambda calls. */
export const handler = lazily(() => createHandler(deploymentFromEnvironment(process.env), lambdaTelemetry()));
