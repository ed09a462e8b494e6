/** A process that lives one world after another, as its parent names them: what its guests' runbooks came to is kept. */
import { shareHostRuns } from '../../simulator/guest/run-on-host.ts';
import { type Lived, live } from './life.ts';
import type { WorldKind } from './world.ts';

/** What a worker answers about one seed. */
export type Answer =
  | { readonly seed: number; readonly lived: Lived }
  | { readonly seed: number; readonly failure: string };

/** What a worker is asked for. */
export interface Question {
  readonly seed: number;
  readonly only: WorldKind | null;
}

async function answer({ seed, only }: Question): Promise<Answer> {
  try {
    return { seed, lived: await live(seed, { only }) };
  } catch (error) {
    return { seed, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

const [sharedFolder] = process.argv.slice(2);
if (sharedFolder !== undefined) shareHostRuns(sharedFolder);
// A terminal sends Ctrl-C to all: the parent decides what it means.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (question: Question) => {
  void answer(question).then((said) => process.send?.(said));
});
