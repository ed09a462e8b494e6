/** Lambda `run`: the console's Test, the schedule and the CLI all call this. Plain, answers at once. */
import { createHomeClients, type Wire } from '../aws/clients.ts';
import { type Deployment, deploymentFromEnvironment } from '../aws/deployment.ts';
import { createHubPorts } from '../aws/open-cell.ts';
import { lazily } from '../lazily.ts';
import { handleRunEvent } from './start-run.ts';

/** The handler for a deployment; `wire` is how a simulated region takes AWS's place. */
export function createHandler(deployment: Deployment, wire?: Wire) {
  const clients = createHomeClients(deployment.home.region, wire);
  return (event: unknown) => handleRunEvent(createHubPorts(deployment, wire, clients), event);
}

/** What Lambda calls. */
export const handler = lazily(() => createHandler(deploymentFromEnvironment(process.env)));
