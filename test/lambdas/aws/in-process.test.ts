/** In a file of its own: the SDK reads its configuration files once a process, so an earlier test would hide it. */
import { createHook } from 'node:async_hooks';
import { createHubPorts } from '../../../lambdas/aws/open-cell.ts';
import { inVirtualTime, json, xml } from '../../support/scripted-aws.ts';
import { deployment, instanceXml, openCell } from './support.ts';

const page = xml('DescribeInstances', `<reservationSet>${instanceXml('i-00000001')}</reservationSet>`);

test('nothing reads a file while it is called in process: virtual time would run on meanwhile', async () => {
  const { ports, aws } = openCell({
    'ec2:DescribeInstances': page,
    'ssm:DescribeInstanceInformation': json({}),
    'dynamodb:GetItem': json({}),
    'logs:PutLogEvents': json({}),
    'events:PutEvents': json({}),
    'sns:Publish': xml('Publish', ''),
    'monitoring:DescribeAlarms': json({ MetricAlarms: [{ AlarmName: 'a', StateValue: 'OK' }] }),
    'ssm:GetCalendarState': json({ State: 'OPEN' }),
    'lambda:POST': { status: 202, contentType: 'application/json', body: '' },
  });
  const hub = createHubPorts(deployment({}, { calendars: ['c'], blockingAlarms: ['a'] }), aws.wire);
  const files: string[] = [];
  const watch = createHook({ init: (_, type) => type.startsWith('FSREQ') && files.push(type) }).enable();
  const { milliseconds } = await inVirtualTime(async () => {
    await ports.fleet.listInstances(null, 50);
    await ports.fleet.agents(['i-00000001']);
    await ports.ledger.getRun('run-0001');
    await ports.news.record('s', [{}]);
    await ports.news.publish('Audit Backlog Sweep Completed', {});
    await ports.news.notify('s', 't');
    for (const check of hub.gate) await check.closedBecause();
    await hub.startSweep('n', {});
  });
  watch.disable();
  expect(aws.requests.length).toBeGreaterThanOrEqual(9);
  expect(files).toEqual([]);
  expect(milliseconds).toBe(0);
});
