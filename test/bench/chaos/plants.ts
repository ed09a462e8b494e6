/**
 * One planted bug for each invariant. None is in the product: each stands between the service and AWS, or gives the
 * service another policy or runbook than its owner wrote, so that it behaves as a service with that bug would.
 */
import type { Plant } from '../../../bench/chaos/life.ts';
import type { WorldKind } from '../../../bench/chaos/world.ts';
import type { WireAnswer, WireRequest } from '../../../simulator/protocols.ts';

type Between = NonNullable<Plant['between']>;

export interface PlantedBug {
  readonly invariant: number;
  readonly bug: string;
  readonly plant: Plant;
}

function textOf({ body }: WireRequest): string {
  return typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

/** The action of a request, in whatever protocol. */
function actionOf(request: WireRequest): string {
  return request.headers['x-amz-target']?.split('.').at(-1) ?? /(?:^|&)Action=(\w+)/.exec(textOf(request))?.[1] ?? '';
}

/** Falsifies the answers of an action. */
function answers(action: string, falsify: (text: string) => string): Between {
  return (cloud) => ({
    handle: async (request) => {
      const answer = await cloud.handle(request);
      if (actionOf(request) !== action) return answer;
      const { 'content-length': _, ...headers } = answer.headers;
      return { ...answer, headers, body: falsify(answer.body) };
    },
  });
}

/** Falsifies requests; null: as it is. */
function requests(falsify: (text: string, request: WireRequest) => string | null): Between {
  return (cloud) => ({
    handle: (request) => {
      const text = falsify(textOf(request), request);
      if (text === null) return cloud.handle(request);
      const headers = { ...request.headers, 'content-length': `${Buffer.byteLength(text)}` };
      return cloud.handle({ ...request, headers, body: text });
    },
  });
}

const XML_OK = (action: string): WireAnswer => ({
  status: 200,
  headers: { 'content-type': 'text/xml;charset=UTF-8' },
  body: `<?xml version="1.0"?><${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><return>true</return></${action}Response>`,
});

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    invariant: 1,
    bug: 'the opt-out tag is not seen',
    plant: {
      between: answers('DescribeInstances', (xml) => xml.replaceAll('>AuditBacklogRemediation<', '>Other<')),
      withoutTagConditions: true,
    },
  },
  {
    invariant: 2,
    bug: 'what a stop would lose is not seen',
    plant: {
      between: (cloud, world, log) => {
        const storage = answers('DescribeInstanceTypes', (xml) =>
          xml.replaceAll('<instanceStorageSupported>true<', '<instanceStorageSupported>false<'),
        );
        const addresses = answers('DescribeInstances', (xml) =>
          xml.replaceAll('<ipOwnerId>amazon<', '<ipOwnerId>111122223333<').replaceAll('>aws:autoscaling:', '>other:'),
        );
        return addresses(storage(cloud, world, log), world, log);
      },
    },
  },
  {
    invariant: 3,
    bug: 'the budget of machines down at once is ignored',
    plant: {
      policy: (written) => ({
        ...written,
        restart: { ...written.restart, maxInFlight: 50, maxPerRun: 200, maxPercent: 100 },
      }),
    },
  },
  {
    invariant: 4,
    bug: 'a power call is sent twice',
    plant: {
      between: (cloud) => ({
        handle: async (request) => {
          const answer = await cloud.handle(request);
          return actionOf(request) === 'RebootInstances' ? cloud.handle(request) : answer;
        },
      }),
    },
  },
  {
    invariant: 5,
    bug: 'what was stopped is not started, and nobody is told',
    plant: {
      between: (cloud) => ({
        handle: (request) => {
          const action = actionOf(request);
          if (action === 'StartInstances') return Promise.resolve(XML_OK(action));
          if (action !== 'Publish') return cloud.handle(request);
          const body = '<PublishResponse><PublishResult><MessageId>lost</MessageId></PublishResult></PublishResponse>';
          return Promise.resolve({ ...XML_OK(action), body });
        },
      }),
    },
  },
  {
    invariant: 6,
    bug: 'the cap by memory is forgotten',
    plant: {
      tamper: (script, environment) => ({
        script,
        environment: { ...environment, SSM_MemoryPercent: '50', SSM_Minimum: '60000', SSM_Maximum: '1000000' },
      }),
    },
  },
  {
    invariant: 7,
    bug: 'the runbook opens the rules to everyone',
    plant: {
      tamper: (script, environment) => ({
        script: `chmod 0666 "$AUDIT_BACKLOG_ROOT"/etc/audit/rules.d/*.rules\n${script}`,
        environment,
      }),
    },
  },
  {
    invariant: 8,
    bug: 'a plan is started as an apply run',
    plant: {
      between: requests((text, request) =>
        request.path.includes('/invocations') ? text.replace('"mode":"plan"', '"mode":"apply"') : null,
      ),
      policy: (written) => ({ ...written, mode: 'apply' }),
    },
  },
  {
    invariant: 9,
    bug: 'the plan that a run is to apply is forgotten on the way',
    plant: {
      between: requests((text, request) =>
        request.path.includes('/invocations') ? text.replace(/"planId":"[^"]*",?/, '').replace(/,}/g, '}') : null,
      ),
    },
  },
  {
    invariant: 10,
    bug: 'a console that cannot be read passes for one without an overflow',
    plant: {
      between: (cloud) => ({
        handle: async (request) => {
          const answer = await cloud.handle(request);
          if (actionOf(request) !== 'GetConsoleOutput' || answer.status < 400) return answer;
          const output = Buffer.from('[    0.000000] Linux version 6.1.0 (gcc)\r\nwelcome\r\n').toString('base64');
          const body =
            '<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId>' +
            `<timestamp>2026-11-22T04:00:00.000Z</timestamp><output>${output}</output></GetConsoleOutputResponse>`;
          return { ...XML_OK('GetConsoleOutput'), body };
        },
      }),
    },
  },
  {
    invariant: 11,
    bug: 'after a crash it has forgotten which agents there are',
    plant: {
      between: (cloud, _world, log) => ({
        handle: async (request) => {
          const answer = await cloud.handle(request);
          const crashed = log.events.some((event) => event.kind === 'durable' && event.what === 'kill');
          if (!crashed || actionOf(request) !== 'DescribeInstanceInformation') return answer;
          const { 'content-length': _, ...headers } = answer.headers;
          return { ...answer, headers, body: '{"InstanceInformationList":[]}' };
        },
      }),
    },
  },
  {
    invariant: 12,
    bug: 'console text is quoted as it is in a notification',
    plant: {
      between: (cloud, world, log) => {
        let seen = '';
        const inner = requests((text, request) =>
          actionOf(request) === 'Publish' && seen !== ''
            ? text.replace(/(&?Message=)/, `$1${encodeURIComponent(seen)}`)
            : null,
        );
        const wrapped = inner(cloud, world, log);
        return {
          handle: async (request) => {
            const answer = await wrapped.handle(request);
            if (actionOf(request) !== 'GetConsoleOutput') return answer;
            const output = Buffer.from(/<output>([^<]*)</.exec(answer.body)?.[1] ?? '', 'base64').toString('utf8');
            if (output.includes('PWNED')) seen = output.slice(-600);
            return answer;
          },
        };
      },
    },
  },
];

/** Role that a request is signed as; null: none. */
function roleOf(request: WireRequest): string | null {
  const token = request.headers['x-amz-security-token'];
  return token === undefined ? null : String(JSON.parse(Buffer.from(token, 'base64').toString())[0]);
}

/** Bugs that show in worlds of one kind, with a seed of such a world. */
export const MORE_PLANTED_BUGS: readonly (PlantedBug & { readonly only: WorldKind; readonly seed: number })[] = [
  {
    only: 'kill',
    seed: 2,
    invariant: 5,
    bug: 'reconcile does nothing',
    plant: {
      between: (cloud) => ({
        handle: async (request) => {
          const answer = await cloud.handle(request);
          if (roleOf(request) !== 'reconcile' || actionOf(request) !== 'DescribeInstances') return answer;
          const { 'content-length': _, ...headers } = answer.headers;
          const body = answer.body.replace(/<reservationSet>.*<\/reservationSet>/s, '<reservationSet/>');
          return { ...answer, headers, body };
        },
      }),
    },
  },
  {
    only: 'surge',
    seed: 1,
    invariant: 3,
    bug: 'the breaker never opens',
    plant: {
      policy: (written) => ({
        ...written,
        breaker: { affectedCount: 1000, affectedPercent: 100, newlySilentPercent: 100 },
      }),
    },
  },
];
