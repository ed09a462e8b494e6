/** A ledger that lasts as long as the program: for `plan` from a laptop, where nothing is deployed. */
import type { CellReport } from '../domain/contracts.ts';
import { type Cell, cellName, type InstanceHistory } from '../domain/finding.ts';
import type { Answer, CellMemory, EntryRecord, LedgerPort, RunRecord } from '../domain/ports.ts';

const PAGE = 50;

function ok<T>(value: T): Answer<T> {
  return { ok: true, value };
}

/** Keeps everything in memory. It knows no earlier sweeps: nothing is "already handled", nothing was restarted before. */
export class MemoryLedger implements LedgerPort {
  readonly #runs = new Map<string, RunRecord>();
  readonly #entries = new Map<string, EntryRecord>();
  /** The keys of the entries in order; null when one was added since. */
  #sortedKeys: readonly string[] | null = null;
  readonly #reports = new Map<string, CellReport>();
  readonly #histories = new Map<string, InstanceHistory>();
  readonly #memories = new Map<string, CellMemory>();
  readonly #leases = new Map<string, string>();

  async acquireLease(name: string, holder: string) {
    const current = this.#leases.get(name) ?? holder;
    this.#leases.set(name, current);
    return ok({ held: current === holder, holder: current });
  }

  async releaseLease(name: string, holder: string) {
    if (this.#leases.get(name) === holder) this.#leases.delete(name);
    return ok(null);
  }

  async leaseHolder(name: string) {
    return ok(this.#leases.get(name) ?? null);
  }

  async listLeases(below: string) {
    const held = [...this.#leases].filter(([name]) => name.startsWith(`${below}/`));
    return ok(held.map(([name, holder]) => ({ part: name.slice(below.length + 1), holder })));
  }

  async putRun(record: RunRecord) {
    this.#runs.set(record.runId, record);
    return ok(null);
  }

  async getRun(runId: string) {
    return ok(this.#runs.get(runId) ?? null);
  }

  async putCellReport(runId: string, report: CellReport) {
    this.#reports.set(this.#key(runId, report, ''), report);
    return ok(null);
  }

  async getCellReports(runId: string) {
    const keys = [...this.#reports.keys()].filter((key) => key.startsWith(`${runId} `)).sort();
    return ok(keys.flatMap((key) => this.#reports.get(key) ?? []));
  }

  async putEntries(runId: string, cell: Cell, records: readonly EntryRecord[]) {
    for (const record of records) {
      const key = this.#key(runId, cell, record.entry.instanceId);
      if (!this.#entries.has(key)) this.#sortedKeys = null;
      this.#entries.set(key, record);
    }
    return ok(null);
  }

  async getEntries(runId: string, cell: Cell, instanceIds: readonly string[]) {
    return ok(instanceIds.flatMap((id) => this.#entries.get(this.#key(runId, cell, id)) ?? []));
  }

  async listEntries(runId: string, cell: Cell | null, cursor: string | null) {
    const prefix = cell ? this.#key(runId, cell, '') : `${runId} `;
    this.#sortedKeys ??= [...this.#entries.keys()].sort();
    const keys = this.#sortedKeys;
    const from = firstAbove(keys, cursor ?? prefix);
    const page = keys.slice(from, from + PAGE).filter((key) => key.startsWith(prefix));
    const more = keys[from + PAGE]?.startsWith(prefix) ?? false;
    return ok({
      items: page.flatMap((key) => this.#entries.get(key) ?? []),
      cursor: more ? (page.at(-1) ?? null) : null,
    });
  }

  async getHistories(cell: Cell, instanceIds: readonly string[]) {
    const found = new Map<string, InstanceHistory>();
    for (const id of instanceIds) {
      const history = this.#histories.get(this.#key('', cell, id));
      if (history) found.set(id, history);
    }
    return ok(found);
  }

  async putHistory(cell: Cell, instanceId: string, history: InstanceHistory) {
    this.#histories.set(this.#key('', cell, instanceId), history);
    return ok(null);
  }

  async getCellMemory(cell: Cell) {
    return ok(this.#memories.get(cellName(cell)) ?? null);
  }

  async putCellMemory(cell: Cell, memory: CellMemory) {
    this.#memories.set(cellName(cell), memory);
    return ok(null);
  }

  async getPause() {
    return ok(null);
  }

  #key(runId: string, cell: Cell, instanceId: string): string {
    return `${runId} ${cellName(cell)} ${instanceId}`;
  }
}

/** Index of the first key after `bound`, by bisection: a fleet has many pages. */
function firstAbove(keys: readonly string[], bound: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}
