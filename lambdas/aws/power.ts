/** Stopping, starting, rebooting and tagging one instance. Each call is made once: see {@link Caller}. */
import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeInstancesCommand,
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { Policy } from '../../domain/policy.ts';
import type { Answer, PowerPort } from '../../domain/ports.ts';
import { type Caller, mapAnswer, type Request } from './call.ts';
import type { CellClients } from './clients.ts';
import { instancesIn } from './fleet.ts';
import { allPages } from './pages.ts';

/** EC2's limit for the value of a tag. Unit: characters. */
const TAG_VALUE = 256;

/** @param tags - the names of the service's own tags */
export function createPower({ ec2 }: CellClients, caller: Caller, tags: Policy['tags']): PowerPort {
  const change = async (
    call: string,
    instanceId: string,
    send: Request<unknown>['send'],
    waitsForRoom = true,
  ): Promise<Answer<null>> =>
    mapAnswer(await caller.call({ call, effect: 'once', waitsForRoom, instanceId, send }), () => null);
  const takeDown = (call: string, instanceId: string, send: Request<unknown>['send']) =>
    change(call, instanceId, send, false);

  const tag = (instanceId: string, key: string, value: string) =>
    change('ec2:CreateTags', instanceId, (options) =>
      ec2.send(new CreateTagsCommand({ Resources: [instanceId], Tags: [{ Key: key, Value: value }] }), options),
    );

  return {
    markStopped: (instanceId, runId) => tag(instanceId, tags.stopped, `${runId} ${new Date(Date.now()).toISOString()}`),

    unmarkStopped: (instanceId) =>
      change('ec2:DeleteTags', instanceId, (options) =>
        // Without a value the tag goes whatever it says.
        ec2.send(new DeleteTagsCommand({ Resources: [instanceId], Tags: [{ Key: tags.stopped }] }), options),
      ),

    stop: (instanceId) =>
      takeDown('ec2:StopInstances', instanceId, (options) =>
        ec2.send(new StopInstancesCommand({ InstanceIds: [instanceId] }), options),
      ),

    start: (instanceId) =>
      change('ec2:StartInstances', instanceId, (options) =>
        ec2.send(new StartInstancesCommand({ InstanceIds: [instanceId] }), options),
      ),

    reboot: (instanceId) =>
      takeDown('ec2:RebootInstances', instanceId, (options) =>
        ec2.send(new RebootInstancesCommand({ InstanceIds: [instanceId] }), options),
      ),

    async listMarked() {
      const answer = await allPages('ec2:DescribeInstances', async (token) => {
        const page = await caller.call({
          call: 'ec2:DescribeInstances',
          effect: 'read',
          send: (options) =>
            ec2.send(
              new DescribeInstancesCommand({
                Filters: [{ Name: 'tag-key', Values: [tags.stopped] }],
                MaxResults: 1000,
                ...(token ? { NextToken: token } : {}),
              }),
              options,
            ),
        });
        return page.ok ? instancesIn(page.value) : page;
      });
      return mapAnswer(answer, (instances) =>
        instances.flatMap((instance) => {
          const mark = instance.tags[tags.stopped];
          return mark === undefined ? [] : [{ instance, mark }];
        }),
      );
    },

    tagStatus: (instanceId, status) => tag(instanceId, tags.status, tagValue(status)),
  };
}

/** Only characters that every AWS service accepts in a tag. */
function tagValue(text: string): string {
  return text
    .replace(/[^\p{L}\p{N} +\-=._:/@]/gu, '_')
    .slice(0, TAG_VALUE)
    .trim();
}
