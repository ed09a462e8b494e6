/** Run Command on the embedded region: real guests run the real runbook, answers get lost after their effect. */
import { join } from 'node:path';
import { CreateDocumentCommand, SSMClient, UpdateDocumentCommand } from '@aws-sdk/client-ssm';
import { sleep } from '../../../lambdas/aws/call.ts';
import { createOpenCell } from '../../../lambdas/aws/open-cell.ts';
import { readRunbookScript, runbookDocument } from '../../../lambdas/runbook/document.ts';
import { canonicalDocumentHash } from '../../../lambdas/runbook/document-hash.ts';
import { EmbeddedCloud } from '../../../simulator/cloud.ts';
import { EventLog, Random } from '../../../simulator/core.ts';
import { credentialsFor } from '../../../simulator/credentials.ts';
import { type ScriptedFault, ScriptedFaults } from '../../../simulator/faults.ts';
import { rulesWithLimit } from '../../../simulator/guest/files.ts';
import { createLinuxMachine } from '../../../simulator/guest/machine.ts';
import { inProcessHandler } from '../../../simulator/in-process.ts';
import { SsmService } from '../../../simulator/ssm.ts';
import { inVirtualTime } from '../../support/scripted-aws.ts';
import { CELL, deployment, errorOf, instanceId, mustHave } from './support.ts';

type Ports = ReturnType<ReturnType<typeof createOpenCell>>;
const COMMENT = 'run-0001 resize wave 1';
const NAME = 'ResizeAuditBacklog';
const script = readRunbookScript(join(__dirname, '../../../lambdas/runbook'));
const document = runbookDocument(script);

/** Works in a region with so many managed Linux machines and, unless told otherwise, the runbook's document. */
async function inRegion(
  count: number,
  work: (ports: Ports, cloud: EmbeddedCloud) => Promise<void>,
  options: { faults?: readonly ScriptedFault[]; deployed?: object | null; updated?: object } = {},
): Promise<void> {
  const { faults = [], deployed = document, updated } = options;
  await inVirtualTime(async () => {
    const log = new EventLog();
    const cloud = new EmbeddedCloud({
      seed: 7,
      homeAccountId: CELL.accountId,
      log,
      faults: new ScriptedFaults(faults),
    });
    const ssm = new SsmService({ directory: cloud, random: new Random(3), log });
    ssm.registerRunbook({ name: NAME, content: JSON.stringify(document), script });
    cloud.register(ssm);
    const cell = cloud.cell(CELL.accountId, CELL.region);
    const launchTime = Date.now() - 3_600_000;
    for (let n = 0; n < count; n++) {
      const machine = createLinuxMachine(
        {
          distribution: 'al2023',
          memoryKiB: 4_000_000,
          files: { '/etc/audit/rules.d/audit.rules': rulesWithLimit(320) },
        },
        new Random(n),
        log,
        { ...CELL, instanceId: instanceId(n), hostname: `host-${n}` },
      );
      machine.powerOn(launchTime);
      const profile = { instanceId: instanceId(n), instanceType: 'm5.large', imageId: 'ami-0a', launchTime };
      cloud.addInstance(cell, profile, machine);
    }
    const wire = { requestHandler: inProcessHandler(cloud) as never, credentials: credentialsFor(CELL.accountId) };
    if (deployed) {
      const client = new SSMClient({ ...wire, region: CELL.region });
      const Content = JSON.stringify(deployed);
      await client.send(
        new CreateDocumentCommand({ Name: NAME, Content, DocumentType: 'Command', DocumentFormat: 'JSON' }),
      );
      if (updated) {
        await client.send(
          new UpdateDocumentCommand({
            Name: NAME,
            Content: JSON.stringify(updated),
            DocumentVersion: '$LATEST',
            DocumentFormat: 'JSON',
          }),
        );
      }
    }
    const open = createOpenCell(deployment({ documentHash: canonicalDocumentHash(document) }), wire);
    await work(open(CELL, 1), cloud);
  });
}

async function sendAll(ports: Ports, ids: readonly string[]) {
  return ports.runCommand.send({
    instanceIds: ids,
    document: mustHave(await ports.runCommand.resolveDocument()),
    parameters: { Mode: 'apply', OverflowedAt: '320' },
    comment: COMMENT,
    maxConcurrency: 5,
    maxErrors: '100%',
    deliverySeconds: 60,
  });
}

test('a fleet is resized, and each machine says so in its whole output', async () => {
  await inRegion(6, async (ports, cloud) => {
    const ids = [0, 1, 2, 3, 4, 5].map(instanceId);
    expect([...mustHave(await ports.fleet.agents([...ids, instanceId(900)])).keys()].sort()).toEqual(ids);
    const { commandIds, refused } = mustHave(await sendAll(ports, ids));
    expect(refused).toEqual([]);
    await sleep(300_000);
    const results = mustHave(await ports.runCommand.results(commandIds[0]!));
    expect(results.map((r) => [r.instanceId, r.state]).sort()).toEqual(ids.map((id) => [id, 'succeeded']));
    for (const { output } of results) expect(JSON.parse(output!.trim().split('\n').at(-1)!).outcome).toBe('resized');
    const truth = cloud.find(CELL.accountId, CELL.region, ids[0]!)!.machine.truth(Date.now());
    expect(truth.effectiveLimit).toBe(8192);
  });
});

test('an id that SSM does not take is refused, and the others are sent', async () => {
  await inRegion(3, async (ports) => {
    const { commandIds, refused } = mustHave(await sendAll(ports, [0, 900, 1, 2].map(instanceId)));
    expect(refused).toEqual([instanceId(900)]);
    await sleep(300_000);
    const answers = await Promise.all(commandIds.map((id) => ports.runCommand.results(id)));
    expect(
      answers
        .flatMap(mustHave)
        .map((r) => r.instanceId)
        .sort(),
    ).toEqual([0, 1, 2].map(instanceId));
  });
});

test.each(['lost-after', 'lost-before', 'error-500'] as const)(
  'whatever became of the first request (%s), exactly one command reaches the machines',
  async (kind) => {
    await inRegion(
      2,
      async (ports) => {
        const began = ports.clock.now();
        const { commandIds } = mustHave(await sendAll(ports, [0, 1].map(instanceId)));
        expect(commandIds).toHaveLength(1);
        // Listings lag behind what was sent.
        await sleep(10_000);
        expect(mustHave(await ports.runCommand.findSent(COMMENT, began))).toEqual(commandIds);
        expect(mustHave(await ports.runCommand.findSent('another', began))).toEqual([]);
      },
      { faults: [{ kind, calls: 'ssm:SendCommand' }] },
    );
  },
);

test('a cell without the document, or with another one, is not ready', async () => {
  const resolve = (deployed: object | null, code: string) =>
    inRegion(
      0,
      async ({ runCommand }) => {
        expect(errorOf(await runCommand.resolveDocument())).toMatchObject({ code, kind: 'failed' });
      },
      { deployed },
    );
  await resolve(null, 'InvalidDocument');
  await resolve({ ...document, description: 'changed by hand' }, 'DocumentDiffers');
});

test('an update that did not become the default version is found; a default that is ours stays ours', async () => {
  const version = (deployed: object, updated: object) =>
    inRegion(
      0,
      async ({ runCommand }) => {
        const own = deployed === document ? '1' : '2';
        expect(mustHave(await runCommand.resolveDocument())).toMatchObject({ name: NAME, version: own });
      },
      { deployed, updated },
    );
  const other = { ...document, description: 'of another version of the service' };
  await version(other, document);
  await version(document, other);
});
