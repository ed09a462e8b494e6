import { type Machine, type Run, withMachine } from './machine.ts';
import { LAYOUTS, RESTARTS, ROLLBACKS, type Scenario, STATES } from './scenarios.ts';
import { SHELLS } from './shells.ts';

const patience = (s: Scenario) => (s.kernel?.status === 'hang' || s.kernel?.set === 'hang' ? 1 : 20);

/** The tree as it must be: the old one, the changed contents in the old modes, and one backup of each changed file. */
function expectedTree(before: Record<string, string>, s: Scenario): Record<string, string> {
  const tree = { ...before };
  for (const [path, text] of Object.entries(s.changes ?? {})) {
    const old = before[path];
    if (old) tree[`${path}.audit-backlog.bak`] = old;
    tree[path] = old ? `${old.slice(0, old.indexOf('\n'))}\n${text}` : expect.stringContaining(`\n${text}`);
  }
  return tree;
}

function check(machine: Machine, s: Scenario, before: Record<string, string>, run: Run): void {
  const { answer } = run;
  expect(answer).toMatchObject({ outcome: s.outcome });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(s.outcome === 'failed' || s.outcome === 'rolled-back' ? 1 : 0);
  expect(machine.tree(false)).toEqual(expectedTree(before, s));
  expect(machine.get('limit')).toBe(String(s.limit ?? s.kernel?.limit ?? 320));
  if (s.target !== undefined) expect(answer.target).toBe(s.target);
  if (answer.after?.effective != null) expect(String(answer.after.effective)).toBe(machine.get('limit'));
  if (s.configured !== undefined) expect(answer.before?.configured).toBe(s.configured);
  expect(answer.managedBy).toBe(s.managedBy ?? null);
  if (s.says) expect(answer.message).toMatch(s.says);
  const calls = machine.calls();
  for (const call of s.calls ?? []) expect(calls).toContainEqual(expect.stringContaining(call));
  for (const never of s.never ?? []) expect(calls.filter((call) => never.test(call))).toEqual([]);
  if (s.auditd) expect(machine.get('pid') === '0' ? 'stopped' : 'runs').toBe(s.auditd);
  if (s.drain) expect(answer.drain).toMatchObject(s.drain);
  if (s.os) expect(answer.os).toMatchObject(s.os);
}

const ALL = [...LAYOUTS, ...STATES, ...RESTARTS, ...ROLLBACKS];

describe.each([
  ['layouts', LAYOUTS],
  ['states', STATES],
  ['restarts', RESTARTS],
  ['taking back', ROLLBACKS],
])('runbook: %s', (_, scenarios) => {
  it.each(scenarios.map((s) => [s.name, s] as const))('%s', (_name, s) => {
    withMachine(
      s.files,
      s.kernel ?? {},
      (machine) => {
        const whole = machine.tree();
        const planned = machine.run({ ...s.parameters, Mode: 'plan' }, { patience: patience(s) });
        expect(machine.tree()).toEqual(whole);
        expect(machine.calls().filter((call) => !/^(auditctl -s|augenrules)/.test(call))).toEqual([]);
        expect(planned.answer.after).toEqual(planned.answer.before);
        const before = machine.tree(false);
        const run = machine.run(s.parameters, { patience: patience(s) });
        check(machine, s, before, run);
        if (run.answer.outcome === 'resized' || run.answer.outcome === 'reverted') {
          expect(planned.answer).toMatchObject({ outcome: 'planned', target: run.answer.target });
          const proven = machine.tree();
          const second = machine.run({ ...s.parameters, Expected: String(run.answer.target) }, {});
          expect(second.answer.outcome).toBe('already-sufficient');
          // The lock comes and goes in run/: nothing else may be touched, not even a time.
          const noTimes = { run: '', 'var/run': '' };
          expect({ ...machine.tree(), ...noTimes }).toEqual({ ...proven, ...noTimes });
        }
      },
      s.without,
    );
  });
});

describe.each(SHELLS.map((shell, i) => [shell.name, shell, i] as const))(
  'runbook under %s',
  (_, { command: shell, awk }, i) => {
    it.each(ALL.filter((_s, at) => at % 5 === i).map((s) => [s.name, s] as const))('%s', (_name, s) => {
      withMachine(
        s.files,
        s.kernel ?? {},
        (machine) => {
          if (awk !== null && !s.kernel?.fails) machine.command('awk', `#!/bin/sh\nexec ${awk} "$@"\n`);
          const before = machine.tree(false);
          check(machine, s, before, machine.run(s.parameters, { shell, patience: patience(s) }));
        },
        s.without,
      );
    });
  },
);
