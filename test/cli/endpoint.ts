/** An AWS endpoint on loopback that answers what the test wrote. What nobody wrote is answered by HTTP 501. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json, type Reply, xml } from '../support/scripted-aws.ts';

export type EndpointScript = Readonly<Record<string, Reply | 'silence'>>;

export interface Endpoint {
  readonly url: string;
  /** `service:Action`, in the order of asking. */
  readonly calls: readonly string[];
  close(): Promise<void>;
}

export async function startEndpoint(script: EndpointScript): Promise<Endpoint> {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [, service] = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(request.headers.authorization ?? '') ?? [];
      const target = request.headers['x-amz-target'];
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const action = typeof target === 'string' ? target.split('.').at(-1) : form.get('Action');
      const call = `${service}:${action}`;
      calls.push(call);
      const reply = script[call] ?? { status: 501, contentType: 'text/plain', body: `nobody scripted ${call}` };
      if (reply === 'silence') return;
      response.writeHead(reply.status, { 'content-type': reply.contentType }).end(reply.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const OVERFLOW = '[   12.000000] audit: audit_backlog=65 > audit_backlog_limit=64\n';

export const AFFECTED_ID = 'i-00000000000000001';

const instance =
  `<item><reservationId>r-1</reservationId><instancesSet><item><instanceId>${AFFECTED_ID}</instanceId>` +
  '<imageId>ami-0a</imageId><instanceState><code>16</code><name>running</name></instanceState>' +
  '<instanceType>m5.large</instanceType><launchTime>2026-11-01T00:00:00.000Z</launchTime>' +
  '<placement><availabilityZone>eu-west-1a</availabilityZone></placement><architecture>x86_64</architecture>' +
  '<rootDeviceType>ebs</rootDeviceType></item></instancesSet></item>';

/** A region with one machine whose queue overflowed and that answers. */
export function healthyService(): EndpointScript {
  return {
    'sts:GetCallerIdentity': xml(
      'GetCallerIdentity',
      '<GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult>',
    ),
    'ec2:DescribeInstances': xml('DescribeInstances', `<reservationSet>${instance}</reservationSet>`),
    'ec2:DescribeInstanceStatus': xml('DescribeInstanceStatus', '<instanceStatusSet/>'),
    'ec2:GetConsoleOutput': xml(
      'GetConsoleOutput',
      `<instanceId>${AFFECTED_ID}</instanceId><timestamp>2026-11-22T00:00:00.000Z</timestamp><output>${base64(OVERFLOW)}</output>`,
    ),
    'ssm:DescribeInstanceInformation': json({
      InstanceInformationList: [
        { InstanceId: AFFECTED_ID, PingStatus: 'Online', LastPingDateTime: Date.now() / 1000, AgentVersion: '3.3.0' },
      ],
    }),
  };
}
