import type { Policy } from '../../../domain/policy.ts';
import { createHubPorts } from '../../../lambdas/aws/open-cell.ts';
import { inVirtualTime, json, jsonError, type Script, scriptedAws } from '../../support/scripted-aws.ts';
import { deployment, errorOf, mustHave } from './support.ts';

const CALENDAR = 'arn:aws:ssm:eu-west-1:111122223333:document/freeze';
const check = async (script: Script, policy: Partial<Policy>, name: RegExp) => {
  const { wire } = scriptedAws(script);
  const hub = createHubPorts(deployment({}, policy), wire);
  const found = hub.gate.find((c) => name.test(c.name));
  if (!found) throw new Error(`no check ${name} among ${hub.gate.map((c) => c.name)}`);
  return (await inVirtualTime(() => found.closedBecause())).value;
};

describe('pause', () => {
  const pause = (item: object | undefined) =>
    check({ 'dynamodb:GetItem': json(item ? { Item: item } : {}) }, {}, /^pause$/);
  const item = (fields: object) => ({ pk: { S: 'pause' }, sk: { S: 'pause' }, ...fields });

  test('open without the item', async () => {
    expect(mustHave(await pause(undefined))).toBeNull();
  });
  test('closed with its reason and its end', async () => {
    expect(mustHave(await pause(item({ reason: { S: 'migration' } })))).toBe('paused: migration');
    const until = '2026-11-23T00:00:00Z';
    expect(mustHave(await pause(item({ reason: { S: 'migration' }, until: { S: until } })))).toBe(
      `paused until ${until}: migration`,
    );
  });
  test('open again once its time is over', async () => {
    expect(mustHave(await pause(item({ reason: { S: 'x' }, until: { S: '2026-11-21T23:59:59Z' } })))).toBeNull();
  });
  test('an item that says nothing readable is an error', async () => {
    expect(errorOf(await pause(item({ paused: { BOOL: true } })))).toMatchObject({ code: 'CorruptItem' });
    expect(errorOf(await pause(item({ reason: { S: 'x' }, until: { S: 'tomorrow' } })))).toMatchObject({
      code: 'CorruptItem',
    });
  });
});

describe('calendar', () => {
  const calendar = (reply: Script[string]) =>
    check({ 'ssm:GetCalendarState': reply }, { calendars: [CALENDAR] }, /^calendar/);

  test('open, closed with its end', async () => {
    expect(mustHave(await calendar(json({ State: 'OPEN' })))).toBeNull();
    expect(mustHave(await calendar(json({ State: 'CLOSED', NextTransitionTime: '2026-12-01T00:00:00Z' })))).toBe(
      `change calendar ${CALENDAR} is closed until 2026-12-01T00:00:00Z`,
    );
  });
  test('asks for the very calendar', async () => {
    const aws = scriptedAws({ 'ssm:GetCalendarState': json({ State: 'OPEN' }) });
    const hub = createHubPorts(deployment({}, { calendars: [CALENDAR, 'other'] }), aws.wire);
    for (const c of hub.gate.filter((g) => g.name.startsWith('calendar'))) await c.closedBecause();
    expect(aws.requests.map((r) => r.params.CalendarNames)).toEqual([[CALENDAR], ['other']]);
  });
  test('what cannot be read is an error', async () => {
    expect(errorOf(await calendar(jsonError('InvalidDocument', 'no')))).toMatchObject({
      next: expect.stringContaining(CALENDAR),
    });
    expect(errorOf(await calendar(json({})))).toMatchObject({ code: 'UnexpectedAnswer' });
    expect(errorOf(await calendar(jsonError('AccessDeniedException', 'no')))).toMatchObject({
      next: expect.stringContaining('grant ssm:GetCalendarState'),
    });
  });
});

describe('alarm', () => {
  const alarm = (reply: Script[string]) =>
    check({ 'monitoring:DescribeAlarms': reply }, { blockingAlarms: ['storm'] }, /^alarm/);
  const state = (StateValue: string, AlarmName = 'storm') => json({ MetricAlarms: [{ AlarmName, StateValue }] });

  test('on is closed, off is open, of either kind', async () => {
    expect(mustHave(await alarm(state('OK')))).toBeNull();
    expect(mustHave(await alarm(state('INSUFFICIENT_DATA')))).toBeNull();
    expect(mustHave(await alarm(state('ALARM')))).toBe('alarm storm is on');
    expect(mustHave(await alarm(json({ CompositeAlarms: [{ AlarmName: 'storm', StateValue: 'ALARM' }] })))).toBe(
      'alarm storm is on',
    );
  });
  test('asks for both kinds by name', async () => {
    const aws = scriptedAws({ 'monitoring:DescribeAlarms': state('OK') });
    const hub = createHubPorts(deployment({}, { blockingAlarms: ['storm'] }), aws.wire);
    await hub.gate.at(-1)!.closedBecause();
    expect(aws.requests[0]!.params).toEqual({
      AlarmNames: ['storm'],
      AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
    });
  });
  test('an alarm that is not there, or cannot be read, is an error', async () => {
    expect(errorOf(await alarm(json({})))).toMatchObject({ code: 'AlarmNotFound' });
    expect(errorOf(await alarm(state('OK', 'storm-2')))).toMatchObject({ code: 'AlarmNotFound' });
    expect(errorOf(await alarm(jsonError('InternalServiceFault', '', 500)))).toMatchObject({ kind: 'failed' });
  });
});
