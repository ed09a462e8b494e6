/** What was learnt of a cell's instances and types on the way; shared by the ports of one cell. */
export interface CellKnowledge {
  /** Instance id to type, so that the console port pays once a type for what a type cannot do. */
  readonly types: Map<string, string>;
  /** Instance type to whether it has instance storage; types do not change. */
  readonly instanceStorage: Map<string, boolean>;
  /** Types, or instances of unknown type, whose console does not support `Latest`. */
  readonly withoutLatest: Set<string>;
}

export function createCellKnowledge(): CellKnowledge {
  return { types: new Map(), instanceStorage: new Map(), withoutLatest: new Set() };
}
