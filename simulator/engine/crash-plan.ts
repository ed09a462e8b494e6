/** Where a run is to be crashed: chosen beforehand, counted as the run goes, so that it can be repeated exactly. */

/** Before: it never took effect. After: it took effect, and the answer was lost with the invocation. */
export type CrashMoment = 'before' | 'after';

/** One crash. `number` counts from 1 over the whole run, whichever execution it meets. */
export type CrashPoint =
  | { readonly at: 'checkpoint'; readonly number: number; readonly moment: CrashMoment }
  | {
      readonly at: 'call';
      /** `service:Action`, as `ec2:StopInstances`; `*` is any call. */
      readonly call: string;
      readonly number: number;
      readonly moment: CrashMoment;
    };

/** Counts checkpoints and API calls, and says when a chosen one is reached. Each point fires once. */
export class CrashPlan {
  readonly #points: readonly CrashPoint[];
  readonly #calls = new Map<string, number>();
  #checkpoints = 0;

  constructor(points: readonly CrashPoint[] = []) {
    this.#points = points;
  }

  /** The next checkpoint of the run arrives; null: it is left alone. */
  nextCheckpoint(): CrashMoment | null {
    this.#checkpoints++;
    const hit = this.#points.find((point) => point.at === 'checkpoint' && point.number === this.#checkpoints);
    return hit?.moment ?? null;
  }

  /** The next API call made by a function arrives; null: it is left alone. */
  nextCall(call: string): CrashMoment | null {
    const number = this.#count(call);
    const any = this.#count('*');
    const hit = this.#points.find(
      (point) =>
        point.at === 'call' &&
        ((point.call === call && point.number === number) || (point.call === '*' && point.number === any)),
    );
    return hit?.moment ?? null;
  }

  #count(call: string): number {
    const number = (this.#calls.get(call) ?? 0) + 1;
    this.#calls.set(call, number);
    return number;
  }
}
