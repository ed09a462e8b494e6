/** A row of the table of pitfalls, and what is looked at on every one of them, whatever its row expects. */
import assert from 'node:assert/strict';
import type { RunbookOutcome, RunbookOutput } from '../../domain/contracts.ts';
import { assertLimitOnly, assertSame, type Tree } from '../audit-tree.ts';
import { KINDS, type Kind } from '../machine.ts';
import type { AgentVersion, Parameters, RunbookRun } from '../runbook.ts';
import { type KernelStatus, parseStatus, type Trial } from '../trial.ts';
import type { Scenario } from './scenario.ts';

export interface Pitfall {
  readonly name: string;
  /** both where it says nothing */
  readonly kinds?: readonly Kind[];
  /** words for the kernel command line: the machine boots cold with them */
  readonly append?: string;
  /** shell text that brings the machine into this state */
  readonly prepare: string;
  /** besides Mode=apply and OverflowedAt=64 */
  readonly parameters?: Parameters;
  readonly agent?: AgentVersion;
  /** the agent's own environment, where it is not the usual one */
  readonly environment?: Record<string, string>;
  /** a second run must find nothing to do */
  readonly again?: boolean;
  /** folders besides /etc/audit that are compared */
  readonly folders?: readonly string[];
  readonly expect: {
    readonly outcome: RunbookOutcome;
    /** the kernel's limit before and after; null where it has none to tell */
    readonly limit: readonly [number, number] | null;
    /** `limit`: one number in one file, and nothing else; `same`: no byte */
    readonly files: 'limit' | 'same';
    /** `same`: the very process; `new`: another one; `none`: none runs */
    readonly auditd?: 'same' | 'new' | 'none';
    /** what the message says */
    readonly says?: RegExp;
    /** the loader of the distribution brings the limit from the file into the kernel, as at the next boot; true where files is `limit` */
    readonly loads?: boolean;
  };
  /** shell text that must end with 0 after the runbook */
  readonly afterwards?: string;
}

/** Outcomes that must exit 1, so that Run Command counts an error. */
const FAILURES: readonly RunbookOutcome[] = ['failed', 'rolled-back'];

export function pitfallScenario(row: Pitfall): Scenario {
  return { name: row.name, kinds: row.kinds ?? KINDS, run: (trial) => runPitfall(trial, row) };
}

async function runPitfall(trial: Trial, row: Pitfall): Promise<void> {
  const { expect, folders } = row;
  await trial.start(row.append === undefined ? undefined : { ...trial.image.cold, append: row.append });
  const before = await trial.step('prepare', () => trial.look(row.prepare, folders));
  const status = expect.limit && parseStatus(before.status);
  if (expect.limit) assert.equal(status?.limit, expect.limit[0], 'the machine is not prepared: its limit');

  const parameters: Parameters = { Mode: 'apply', OverflowedAt: 64, ...row.parameters };
  const send = (): Promise<RunbookRun> => trial.runbook(parameters, row.agent, row.environment);
  const { ran, output } = await trial.step('runbook', send, ({ output }) => `${output.outcome}: ${output.message}`);
  assert.equal(output.outcome, expect.outcome, output.message);
  assert.equal(ran.code, FAILURES.includes(expect.outcome) ? 1 : 0, 'its exit code');
  if (expect.says) assert.match(output.message, expect.says);

  const after = await trial.look(row.afterwards, folders);
  const mine = (tree: Tree): Tree => (expect.auditd === 'new' ? withoutGenerated(tree) : tree);
  if (expect.files === 'same') assertSame(before.tree, after.tree);
  else assertLimitOnly(mine(before.tree), mine(after.tree), output.target ?? Number.NaN);
  if (status) assertKernel(status, parseStatus(after.status), output, expect);

  if (row.again) {
    const again = await trial.step('again', send);
    assert.equal(again.output.outcome, 'already-sufficient', `the second run: ${again.output.message}`);
    assertSame(after.tree, (await trial.look('', folders)).tree);
  }
  if (expect.loads ?? expect.files === 'limit') {
    const loaded = await trial.step('load', () => trial.shell('running 77; load; auditctl -s'));
    assert.equal(parseStatus(loaded).limit, output.target, 'the limit in the file is not what the loader loads');
  }
}

/** Without what augenrules makes anew when auditd starts. */
function withoutGenerated(tree: Tree): Tree {
  return new Map([...tree].filter(([path]) => !/^\/etc\/audit\/audit\.rules(\.prev)?$/.test(path)));
}

/** The kernel itself, against what the row expects and what the runbook claims. */
function assertKernel(
  before: KernelStatus,
  after: KernelStatus,
  output: RunbookOutput,
  expect: Pitfall['expect'],
): void {
  assert.equal(after.limit, expect.limit?.[1], `the kernel's limit afterwards (${output.message})`);
  assert.ok(after.limit === 0 || after.limit >= before.limit, 'the limit was lowered');
  const claimed = [output.before?.effective, (output.after ?? output.before)?.effective];
  assert.deepEqual(claimed, [before.limit, after.limit], 'the runbook claims other limits than the kernel');
  assert.deepEqual([after.enabled, after.failure], [before.enabled, before.failure], 'other settings changed');
  const auditd = after.pid === 0 ? 'none' : after.pid === before.pid ? 'same' : 'new';
  assert.equal(auditd, expect.auditd ?? 'same', 'auditd afterwards');
}
