/** The checks that can forbid acting: pause switch, change calendars, blocking alarms; and restarts: the breaker. Unreadable is closed. */
import { type CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { GetCalendarStateCommand, type SSMClient } from '@aws-sdk/client-ssm';
import type { Cell } from '../../domain/finding.ts';
import type { Policy } from '../../domain/policy.ts';
import type { GateCheck, LedgerPort } from '../../domain/ports.ts';
import { answered, type Caller, refused } from './call.ts';
import { callError } from './errors.ts';

export interface GateClients {
  readonly ssm: SSMClient;
  readonly cloudWatch: CloudWatchClient;
}

export function createGate(
  clients: GateClients,
  caller: Caller,
  ledger: Pick<LedgerPort, 'getPause'>,
  policy: Pick<Policy, 'calendars' | 'blockingAlarms'>,
): readonly GateCheck[] {
  return [
    pauseCheck(ledger),
    ...policy.calendars.map((name) => calendarCheck(clients.ssm, caller, name)),
    ...policy.blockingAlarms.map((name) => alarmCheck(clients.cloudWatch, caller, name)),
  ];
}

/**
 * Forbids restarts in a cell while its breaker is open. What this very sweep counts is judged before its plan; this check
 * sees what another sweep has found since.
 */
export function breakerCheck(ledger: Pick<LedgerPort, 'getCellMemory'>, cell: Cell): GateCheck {
  return {
    name: 'breaker',
    async closedBecause() {
      const memory = await ledger.getCellMemory(cell);
      if (!memory.ok) return memory;
      return answered(memory.value?.breakerOpen ? `a sweep at ${memory.value.at} opened it` : null);
    },
  };
}

function pauseCheck(ledger: Pick<LedgerPort, 'getPause'>): GateCheck {
  return {
    name: 'pause',
    async closedBecause() {
      const pause = await ledger.getPause();
      if (!pause.ok) return pause;
      if (pause.value === null) return answered(null);
      const { reason, until } = pause.value;
      return answered(`paused${until === null ? '' : ` until ${until}`}: ${reason}`);
    },
  };
}

function calendarCheck(ssm: SSMClient, caller: Caller, name: string): GateCheck {
  return {
    name: `calendar ${name}`,
    async closedBecause() {
      const answer = await caller.call({
        call: 'ssm:GetCalendarState',
        effect: 'read',
        send: (options) => ssm.send(new GetCalendarStateCommand({ CalendarNames: [name] }), options),
      });
      if (!answer.ok) {
        if (answer.error.code !== 'InvalidDocument') return answer;
        return refused({ ...answer.error, next: `create the change calendar ${name}, or take it out of the policy` });
      }
      const { State: state, NextTransitionTime: next } = answer.value;
      if (state === 'OPEN') return answered(null);
      if (state === 'CLOSED') return answered(`change calendar ${name} is closed${next ? ` until ${next}` : ''}`);
      return refused(
        callError({
          call: 'ssm:GetCalendarState',
          code: 'UnexpectedAnswer',
          message: `the change calendar ${name} is neither open nor closed`,
          next: 'look at the calendar in Systems Manager',
        }),
      );
    },
  };
}

/** An alarm without enough data does not forbid: how missing data count is the alarm's own setting. */
function alarmCheck(cloudWatch: CloudWatchClient, caller: Caller, name: string): GateCheck {
  return {
    name: `alarm ${name}`,
    async closedBecause() {
      const answer = await caller.call({
        call: 'cloudwatch:DescribeAlarms',
        effect: 'read',
        send: (options) =>
          cloudWatch.send(
            new DescribeAlarmsCommand({ AlarmNames: [name], AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] }),
            options,
          ),
      });
      if (!answer.ok) return answer;
      const { MetricAlarms = [], CompositeAlarms = [] } = answer.value;
      const alarm = [...MetricAlarms, ...CompositeAlarms].find((a) => a.AlarmName === name);
      if (alarm?.StateValue === 'OK' || alarm?.StateValue === 'INSUFFICIENT_DATA') return answered(null);
      if (alarm?.StateValue === 'ALARM') return answered(`alarm ${name} is on`);
      return refused(
        callError({
          call: 'cloudwatch:DescribeAlarms',
          code: alarm ? 'UnexpectedAnswer' : 'AlarmNotFound',
          message: alarm ? `the alarm ${name} has an unknown state` : `there is no alarm ${name} in this region`,
          next: 'create the alarm, correct its name, or take it out of the policy',
        }),
      );
    },
  };
}
