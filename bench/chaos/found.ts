/** What a check finds: before it knows its seed, and after. */
export interface Found {
  readonly invariant: number;
  readonly instanceId: string | null;
  readonly at: number;
  readonly what: string;
}

/** One broken invariant. */
export interface Violation {
  readonly seed: number;
  /** 1 to 12, as in the design. */
  readonly invariant: number;
  readonly instanceId: string | null;
  /** ISO 8601, of the world's clock. */
  readonly at: string;
  readonly what: string;
}

export function iso(at: number): string {
  return new Date(at).toISOString();
}
