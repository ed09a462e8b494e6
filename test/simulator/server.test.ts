import { request as httpRequest } from 'node:http';
import { DescribeInstancesCommand, EC2Client, StopInstancesCommand } from '@aws-sdk/client-ec2';
import { credentialsFor, type EmbeddedCloud } from '../../simulator/cloud.ts';
import { ScriptedFaults } from '../../simulator/faults.ts';
import { type Serving, serve } from '../../simulator/server.ts';
import { add, HOME, makeCloud, REGION } from './support/cloud.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
});
async function listen(cloud: EmbeddedCloud): Promise<{ serving: Serving; ec2: EC2Client }> {
  const serving = await serve(cloud, 0);
  const ec2 = new EC2Client({
    region: REGION,
    endpoint: `http://127.0.0.1:${serving.port}`,
    credentials: credentialsFor(HOME),
    maxAttempts: 1,
  });
  open.push({
    close: async () => {
      ec2.destroy();
      await serving.close();
    },
  });
  return { serving, ec2 };
}

function raw(
  port: number,
  headers: Record<string, string>,
  body: Buffer | string = '',
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('answers the real client over HTTP, errors with their status', async () => {
  const cloud = makeCloud();
  const { id } = add(cloud);
  const { ec2 } = await listen(cloud);
  const answer = await ec2.send(new DescribeInstancesCommand({}));
  expect(answer.Reservations?.[0]?.Instances?.[0]?.InstanceId).toBe(id);
  await expect(ec2.send(new StopInstancesCommand({ InstanceIds: [id], DryRun: true }))).rejects.toMatchObject({
    name: 'DryRunOperation',
    $metadata: { httpStatusCode: 412 },
  });
});

test('a lost answer is a broken connection', async () => {
  const cloud = makeCloud({ faults: new ScriptedFaults([{ kind: 'lost-after', calls: 'ec2:StopInstances' }]) });
  const { id, instance } = add(cloud);
  const { ec2 } = await listen(cloud);
  await expect(ec2.send(new StopInstancesCommand({ InstanceIds: [id] }))).rejects.toThrow('socket hang up');
  expect(instance.state).toBe('stopping');
});

test.each([
  ['evil.example', 'Host header'],
  ['127.0.0.1.evil.example', 'Host header'],
  ['evil-localhost', 'Host header'],
  ['localhost:1', 'MissingAuthenticationToken'],
])('a request for the host %s is refused with %s', async (host, reason) => {
  const { serving } = await listen(makeCloud());
  const { status, text } = await raw(serving.port, { host });
  expect(status).toBe(403);
  expect(text).toContain(reason);
});

test('refuses a body that is too large', async () => {
  const { serving } = await listen(makeCloud());
  expect((await raw(serving.port, { host: 'localhost' }, Buffer.alloc(8 * 1024 * 1024 + 1))).status).toBe(413);
});

test('a taken port is an error, and a closed server listens no more', async () => {
  const { serving } = await listen(makeCloud());
  await expect(serve(makeCloud(), serving.port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  const other = await serve(makeCloud(), 0);
  await other.close();
  await expect(raw(other.port, { host: 'localhost' })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
