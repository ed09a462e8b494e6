import type { Kind } from '../machine.ts';
import type { Trial } from '../trial.ts';

/** One thing that must be so on a real machine. */
export interface Scenario {
  readonly name: string;
  readonly kinds: readonly Kind[];
  /** Throws where it is not so. */
  readonly run: (trial: Trial) => Promise<void>;
}
