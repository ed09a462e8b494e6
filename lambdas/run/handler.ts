/** Lambda `run`: the console's Test, the schedule and the CLI all call this. Plain, answers at once. */

import type { Wire } from '../aws/clients.ts';
import { type Deployment, deploymentFromEnvironment } from '../aws/deployment.ts';
import { createHubPorts } from '../aws/open-cell.ts';
import { handleRunEvent } from './start-run.ts';

/** The handler for a deployment; `wire` is how a simulated region takes AWS's place. */
export function createHandler(deployment: Deployment, wire?: Wire) {
  return (event: unknown) => handleRunEvent(createHubPorts(deployment, wire), event);
}

let made: ReturnType<typeof createHandler> | undefined;

/** What Lambda calls. The environment is read at the first event, so that a wrong setting is an answer in the log. */
export const handler = (event: unknown) => {
  made ??= createHandler(deploymentFromEnvironment(process.env));
  return made(event);
};
