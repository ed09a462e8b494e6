/** What the program's exit code says. */
import type { RunReport } from '../domain/contracts.ts';

/** The codes, by what they mean. */
export const EXIT = {
  /** Done. */
  done: 0,
  /** It failed, or some cures did. */
  failed: 1,
  /** The command line, a file or the surroundings (region, credentials) are wrong; nothing was done. */
  usage: 2,
  /** Something could not be looked at: the numbers are not the whole truth. */
  incomplete: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What whoever called got wrong. `message` is one line that says what, and what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The exit code of a run: incomplete outranks failed, since then nobody knows how much failed. */
export function exitCodeOf(report: Pick<RunReport, 'complete' | 'totals' | 'simulator'>): ExitCode {
  if (!report.complete) return EXIT.incomplete;
  return report.totals.failed > 0 || report.simulator?.agrees === false ? EXIT.failed : EXIT.done;
}
