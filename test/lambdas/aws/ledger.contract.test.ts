/** The ledger's contract on the embedded region's DynamoDB: reads lag where they may, batches are dealt with in part. */

import { sleep } from '../../../lambdas/aws/call.ts';
import { createOpenCell } from '../../../lambdas/aws/open-cell.ts';
import { EmbeddedCloud } from '../../../simulator/cloud.ts';
import { EventLog, Random } from '../../../simulator/core.ts';
import { credentialsFor } from '../../../simulator/credentials.ts';
import { DynamoDbService } from '../../../simulator/dynamodb.ts';
import { inProcessHandler } from '../../../simulator/in-process.ts';
import { inVirtualTime } from '../../support/scripted-aws.ts';
import { describeLedger } from './ledger.contract.ts';
import { CELL, deployment } from './support.ts';

describeLedger('DynamoDB', async (work) => {
  await inVirtualTime(async () => {
    const cloud = new EmbeddedCloud({ seed: 7, homeAccountId: CELL.accountId, log: new EventLog() });
    const dynamo = new DynamoDbService({
      lag: { random: new Random(7), atMostMilliseconds: 5000 },
      processedOf: (_, asked) => Math.ceil(asked / 2),
    });
    dynamo.createTable({ name: 'ledger', partitionKey: 'pk', sortKey: 'sk', timeToLive: 'expiresAt' });
    cloud.register(dynamo);
    const open = createOpenCell(deployment(), {
      requestHandler: inProcessHandler(cloud) as never,
      credentials: credentialsFor(CELL.accountId),
    });
    await work({ ledger: open(CELL, 1).ledger, pass: (seconds) => sleep(seconds * 1000) });
  });
});
