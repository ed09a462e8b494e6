/** A ledger that lasts as long as the program: for `plan` from a laptop, where nothing is deployed. */
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

  async putRun(record: RunRecord) {
    this.#runs.set(record.runId, record);
    return ok(null);
  }

  async getRun(runId: string) {
    return ok(this.#runs.get(runId) ?? null);
  }

  async putCellReport() {
    return ok(null);
  }

  async putEntries(runId: string, cell: Cell, records: readonly EntryRecord[]) {
    for (const record of records) this.#entries.set(this.#key(runId, cell, record.entry.instanceId), record);
    return ok(null);
  }

  async getEntries(runId: string, cell: Cell, instanceIds: readonly string[]) {
    return ok(instanceIds.flatMap((id) => this.#entries.get(this.#key(runId, cell, id)) ?? []));
  }

  async listEntries(runId: string, cell: Cell | null, cursor: string | null) {
    const prefix = cell ? this.#key(runId, cell, '') : `${runId} `;
    const keys = [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort();
    const from = cursor === null ? 0 : keys.findIndex((key) => key > cursor);
    const page = from < 0 ? [] : keys.slice(from, from + PAGE);
    const last = page.at(-1);
    const more = last !== undefined && last !== keys.at(-1);
    return ok({ items: page.flatMap((key) => this.#entries.get(key) ?? []), cursor: more ? last : null });
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
