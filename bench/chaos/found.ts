/** A violation before it knows its seed. */
export interface Found {
  readonly invariant: number;
  readonly instanceId: string | null;
  readonly at: number;
  readonly what: string;
}
