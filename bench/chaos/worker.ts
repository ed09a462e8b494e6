/** A process that lives one world after another, as its parent names them: what its guests' runbooks came to is kept. */
import { live } from './life.ts';

/** What a worker answers about one seed. */
export type Answer =
  | { readonly seed: number; readonly lived: Awaited<ReturnType<typeof live>> }
  | { readonly seed: number; readonly failure: string };

async function answer(seed: number): Promise<Answer> {
  try {
    return { seed, lived: await live(seed) };
  } catch (error) {
    return { seed, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

process.on('message', (seed: number) => {
  void answer(seed).then((said) => process.send?.(said));
});
