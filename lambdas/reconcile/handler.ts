/** Lambda `reconcile`: every five minutes, brings back what was stopped and forgotten. Plain. */
import { createHomeClients, type Wire } from '../aws/clients.ts';
import { type Deployment, deploymentFromEnvironment } from '../aws/deployment.ts';
import { createHubPorts, createOpenCell } from '../aws/open-cell.ts';
import { lazily } from '../lazily.ts';
import { reconcile, type Told } from './reconcile.ts';

/** Some cells could not be reconciled. Thrown so that the function's error alarm fires; everything else was done. */
export class ReconcileIncompleteError extends Error {
  override readonly name = 'ReconcileIncompleteError';
}

/** The handler for a deployment; `wire` is how a simulated region takes AWS's place. */
export function createHandler(deployment: Deployment, wire?: Wire) {
  // As long as this process lives, which the schedule of five minutes keeps warm.
  const told: Told = new Map();
  const clients = createHomeClients(deployment.home.region, wire);
  const openCell = createOpenCell(deployment, wire);
  return async () => {
    const done = await reconcile(createHubPorts(deployment, wire, clients), openCell, told);
    if (done.errors.length > 0) throw new ReconcileIncompleteError(JSON.stringify(done));
    return done;
  };
}

/** What Lambda calls. */
export const handler = lazily(() => createHandler(deploymentFromEnvironment(process.env)));
