/** A process that lives one world after another, as its parent names them: what its guests' runbooks came to is kept. */
import { live } from './life.ts';
import type { WorldKind } from './world.ts';

/** What a worker answers about one seed. */
export type Answer =
  | { readonly seed: number; readonly lived: Awaited<ReturnType<typeof live>> }
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

process.on('message', (question: Question) => {
  void answer(question).then((said) => process.send?.(said));
});
