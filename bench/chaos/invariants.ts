/**
 * The twelve invariants of the design, held against what truly happened: the simulator's events, its machines and its
 * instances. Only the tenth is about the service's own words, and reads them.
 */
import type { RunReport } from '../../domain/contracts.ts';
import type { EmbeddedInstance } from '../../simulator/ec2/instance.ts';
import type { ExecutionView } from '../../simulator/engine/execution.ts';
import type { PublishedMessage } from '../../simulator/sns.ts';
import { cureViolations } from './cure-invariants.ts';
import { type Found, iso } from './found.ts';
import type { History, KnownRun, Touch } from './history.ts';
import { MINUTE } from './machines.ts';
import type { World } from './world.ts';

/** What the checks look at when a world has come to its end. */
export interface Ended {
  readonly history: History;
  readonly instances: readonly EmbeddedInstance[];
  readonly executions: readonly ExecutionView[];
  readonly messages: readonly PublishedMessage[];
  /** Everything that left the service for people and machines, as text, with where it went. */
  readonly pages: readonly { readonly where: string; readonly text: string }[];
  /** Reports of runs that are done. */
  readonly reports: readonly RunReport[];
  /** Calls that would change the fleet. */
  readonly mutatingCalls: number;
}

export function violationsOf(ended: Ended): readonly Found[] {
  return [
    ...offLimits(ended),
    ...losses(ended),
    ...tooManyAtOnce(ended),
    ...restartsInSurge(ended),
    ...restartedTwice(ended),
    ...stranded(ended),
    ...cureViolations(ended.history.scripts, ended.history.world),
    ...plansThatAct(ended),
    ...beyondThePlan(ended),
    ...health(ended),
    ...unfinished(ended),
    ...unescaped(ended),
  ];
}

/** 1: what had been off limits since before the run began was seen to be so, and was not even tried. */
function offLimits({ history }: Ended): Found[] {
  const { eventualConsistencyMs } = history.world;
  return history.touches.flatMap((touch) => {
    const began = runOf(history, touch)?.startedAt;
    const { forbiddenSince: since } = touch;
    if (since === null || began === undefined || since + eventualConsistencyMs >= began) return [];
    const what = `${touch.call} by ${touch.actor?.runId}, which began at ${iso(began)}; off limits since ${iso(since)}`;
    return [{ invariant: 1, instanceId: touch.instanceId, at: touch.at, what }];
  });
}

function runOf(history: History, touch: Pick<Touch, 'actor'>): KnownRun | null {
  return touch.actor?.runId ? history.run(touch.actor.runId) : null;
}

/** 2: EC2 itself says what a stop lost. A Mac host is lost for hours. */
function losses({ history, instances }: Ended): Found[] {
  const lost = history.losses.map(({ instanceId = null, at, detail }) => ({
    invariant: 2,
    instanceId,
    at,
    what: `a stop by the service lost its ${String(detail?.of)}`,
  }));
  const macs = history.powerDowns.filter(
    ({ how, instanceId }) =>
      how === 'stop' && instances.some((i) => i.instanceId === instanceId && i.profile.instanceType.startsWith('mac')),
  );
  return [...lost, ...macs.map(({ instanceId, at }) => ({ invariant: 2, instanceId, at, what: 'a Mac was stopped' }))];
}

/** 3: the budget of machines down, and never two runs on one instance. */
function tooManyAtOnce({ history, executions }: Ended): Found[] {
  const found: Found[] = history.tooManyDown.map((one) => ({ invariant: 3, ...one }));
  const endOf = (name: string | null) =>
    executions.find((each) => each.functionName === 'restart' && each.name === name)?.endedAt ??
    Number.POSITIVE_INFINITY;
  history.powerDowns.forEach((down, i) => {
    for (const earlier of history.powerDowns.slice(0, i)) {
      if (earlier.instanceId !== down.instanceId || earlier.actor?.execution === down.actor?.execution) continue;
      if (endOf(earlier.actor?.execution ?? null) <= down.at) continue;
      const what = `${down.how} by ${down.actor?.runId} while ${earlier.actor?.runId} is still at work on it`;
      found.push({ invariant: 3, instanceId: down.instanceId, at: down.at, what });
    }
  });
  const busyUntil = new Map<string, number>();
  for (const { at, instanceId, result } of history.scripts) {
    if (at < (busyUntil.get(instanceId) ?? 0)) {
      found.push({ invariant: 3, instanceId, at, what: 'two runbooks run on it at once' });
    }
    busyUntil.set(instanceId, at + result.milliseconds);
  }
  return found;
}

/** Long enough for SSM to show that an agent is lost. */
const SEEN_MS = 15 * MINUTE;

/** 3: while too many hang at once, only a person who looked at a plan of these machines has one restarted. */
function restartsInSurge({ history }: Ended): Found[] {
  const { policy, machines } = history.world;
  return history.powerDowns.flatMap(({ instanceId, at, how, actor, hungSince }) => {
    const run = runOf(history, { actor });
    if (run === null || (run.planId !== null && run.lookedAt)) return [];
    const region = regionOf(history.world, instanceId);
    const size = machines.filter(({ planned }) => planned.cell.region === region).length;
    const bound = Math.max(policy.breaker.affectedCount, (size * policy.breaker.affectedPercent) / 100);
    const hung = hungSince.filter((since) => since <= run.startedAt - SEEN_MS).length;
    if (hung <= bound) return [];
    const what = `${how} by ${actor?.runId} while ${hung} of ${size} hang at once, more than ${bound}, and nobody looked at a plan of it`;
    return [{ invariant: 3, instanceId, at, what }];
  });
}

function regionOf({ machines }: World, instanceId: string): string | undefined {
  return machines.find(({ planned }) => planned.instanceProfile.instanceId === instanceId)?.planned.cell.region;
}

/** 4: between two restarts by the service the machine has overflowed anew. */
function restartedTwice({ history }: Ended): Found[] {
  const last = new Map<string, number>();
  return history.powerDowns.flatMap(({ instanceId, overflows, at, how, actor }) => {
    const before = last.get(instanceId);
    last.set(instanceId, overflows);
    if (before !== overflows) return [];
    const what = `${how} by ${actor?.runId ?? actor?.functionName}, and it has not overflowed since its last restart`;
    return [{ invariant: 4, instanceId, at, what }];
  });
}

/** 5: what the service stopped runs, is gone for good by another's hand, or was named to a person since. */
function stranded({ history, instances, messages }: Ended): Found[] {
  return instances.flatMap((instance) => {
    const { instanceId, state } = instance;
    const stop = history.stoppedBy.get(instanceId);
    if (stop?.by !== 'service' || state === 'running' || state === 'terminated' || state === 'shutting-down') return [];
    const told = messages.some((m) => m.at >= stop.at && `${m.subject} ${m.message}`.includes(instanceId));
    if (told) return [];
    return [
      { invariant: 5, instanceId, at: stop.at, what: `stopped by the service, ${state} at the end, and no alarm` },
    ];
  });
}

/** 8: a plan changes nothing in the fleet. */
function plansThatAct({ history, mutatingCalls }: Ended): Found[] {
  const acted = history.touches
    .filter((touch) => runOf(history, touch)?.mode === 'plan')
    .map(({ call, instanceId, at, actor }) => ({
      invariant: 8,
      instanceId,
      at,
      what: `${call} by the plan ${actor?.runId}`,
    }));
  if (history.world.kind !== 'plan' || mutatingCalls === 0 || acted.length > 0) return acted;
  const what = `${mutatingCalls} mutating calls in a world whose policy allows plans only`;
  return [{ invariant: 8, instanceId: null, at: history.world.endsAt, what }];
}

/** 9: a run that applies a plan does what the plan says of an instance, and only while it is the same boot of it. */
function beyondThePlan({ history, reports }: Ended): Found[] {
  return history.touches.flatMap((touch): Found[] => {
    const planId = runOf(history, touch)?.planId;
    if (!planId || touch.call === 'CreateTags' || !touch.effect) return [];
    const planned = reports.find((r) => r.runId === planId)?.actions.find((a) => a.instanceId === touch.instanceId);
    const power = touch.call !== 'SendCommand';
    const action = planned?.action ?? 'nothing';
    const allowed = power
      ? action === 'restart-then-resize' &&
        planned?.method === (touch.call === 'RebootInstances' ? 'reboot' : 'stop-start')
      : action === 'resize' || action === 'assess' || action === 'restart-then-resize';
    if (allowed) return [];
    const what = `${touch.call} by ${touch.actor?.runId}; the plan ${planId} says ${action} ${planned?.method ?? ''}`;
    return [{ invariant: 9, instanceId: touch.instanceId, at: touch.at, what }];
  });
}

/** 10: who is not in the report was seen to be well, and every error says where, what and what next. */
function health({ history, instances, reports }: Ended): Found[] {
  const found: Found[] = [];
  for (const report of reports) {
    const at = Date.parse(report.endedAt);
    const say = (instanceId: string | null, what: string) =>
      found.push({ invariant: 10, instanceId, at, what: `run ${report.runId}: ${what}` });
    const about = history.run(report.runId)?.instanceIds ?? null;
    const named = new Set(report.actions.map((action) => action.instanceId));
    for (const cell of report.cells) {
      for (const { call, code, next } of cell.errors) {
        if (call === '' || code === '' || next === '')
          say(null, `an error without call, code or next step: ${call} ${code}`);
      }
      if (cell.status !== 'done') {
        if (report.complete) say(null, `complete, although ${cell.region} is ${cell.status}`);
        continue;
      }
      for (const instance of instances) {
        const { instanceId, profile } = instance;
        const there = history.world.machines.some(
          ({ planned }) => planned.instanceProfile.instanceId === instanceId && planned.cell.region === cell.region,
        );
        // Only what stood still all the time: a machine that stops or vanishes meanwhile may be seen either way.
        if (!there || instance.state !== 'running' || (profile.platform ?? 'linux') !== 'linux') continue;
        if (named.has(instanceId) || (about !== null && !about.includes(instanceId))) continue;
        const reading = history.readings.get(`${report.runId} ${instanceId}`);
        if (reading?.ok) continue;
        say(instanceId, `it passes for healthy, and its console was ${reading ? 'not readable' : 'never asked for'}`);
      }
    }
    for (const { instanceId, code, action, reason, next, outcome } of report.actions) {
      if (reason === '') say(instanceId, `${action} ${code} without a reason`);
      if (code === 'console-unreadable' && (next === '' || !/\w+:\w+/.test(reason))) {
        say(instanceId, `unreadable without call or next step: ${reason} ${next}`);
      }
      if (outcome?.proven && report.mode === 'apply') {
        const proof = history.scripts.some(
          (s) => s.instanceId === instanceId && s.at <= at && enough(s.after.truth.effectiveLimit, outcome.target),
        );
        if (!proof)
          say(instanceId, `${outcome.result} counts as proven at ${outcome.target}, and no machine was ever there`);
      }
    }
  }
  return found;
}

function enough(limit: number | null, target: number | null): boolean {
  return limit === 0 || (limit !== null && limit >= (target ?? 0));
}

/** 11, first half: no crash leaves an execution that never ends, or that cannot be replayed. */
function unfinished({ executions, history }: Ended): Found[] {
  return executions.flatMap((execution) => {
    const { functionName, name, status, error, startedAt } = execution;
    const broken = status === 'FAILED' && /determinis|replay/i.test(`${error?.ErrorType} ${error?.ErrorMessage}`);
    const never = status === 'RUNNING' && history.world.endsAt - startedAt > 60 * MINUTE;
    if (!broken && !never) return [];
    const what = `${functionName} ${name} is ${status} ${error?.ErrorMessage ?? ''}`;
    return [{ invariant: 11, instanceId: null, at: startedAt, what }];
  });
}

/** What no page, message, tag or parameter may hold: control characters other than line ends, and bidi overrides. */
const RAW = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

/** 12: console text reaches no shell and no page unescaped. */
function unescaped({ history, pages }: Ended): Found[] {
  const found: Found[] = pages.flatMap(({ where, text }) => {
    const raw = RAW.exec(text);
    if (!raw) return [];
    const around = JSON.stringify(text.slice(Math.max(0, raw.index - 40), raw.index + 40));
    return [
      { invariant: 12, instanceId: null, at: history.world.endsAt, what: `control characters in ${where}: ${around}` },
    ];
  });
  for (const { at, instanceId, environment } of history.scripts) {
    const odd = Object.entries(environment).find(([, value]) => !/^[A-Za-z0-9_.:-]*$/.test(value));
    if (odd) found.push({ invariant: 12, instanceId, at, what: `the runbook was given ${JSON.stringify(odd)}` });
  }
  return found;
}
