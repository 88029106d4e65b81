import { setTimeout as sleep } from 'node:timers/promises';
import { DataverseError, DataverseRetriableError } from '../../src/dataverse/errors/errors.ts';
import type { CampaignMetrics } from '../../src/metrics/contract/campaign-metrics-fields.ts';
import type { MetricsRow } from '../../src/metrics/table/campaign-metrics-columns.ts';
import type { MetricsTable, RowResult } from '../../src/metrics/table/dataverse-metrics-table.ts';
import type { WriteGuard } from '../../src/metrics/table/write-guard.ts';

const fault = (status: number) => ({ status, operation: 'write', transient: status !== 400 });

type Fault = 'busy' | 'done but lost' | 'slow';

/** A Dataverse table in memory with faults on demand. */
export class MemoryTable implements MetricsTable {
  readonly rows = new Map<string, CampaignMetrics>();
  refuses: (record: CampaignMetrics) => boolean = () => false;
  /** The rows for which no answer comes. */
  unanswered: (record: CampaignMetrics) => boolean = () => false;
  bulks: number[] = [];
  readonly #tries = new Map<string, number>();
  singles = 0;
  /** The faults of the next writes. */
  faults: Fault[] = [];
  random: (() => 'busy' | 'done but lost' | undefined) | undefined;

  async write(row: MetricsRow, { signal }: WriteGuard) {
    this.singles += 1;
    if (this.unanswered(row.record)) throw this.#busy();
    const created = !this.rows.has(row.id);
    await this.#meet(signal, () => this.#store([row]));
    return { created, row };
  }

  async writeMany(rows: readonly MetricsRow[], { signal }: WriteGuard): Promise<RowResult[]> {
    this.bulks.push(rows.length);
    const next = this.faults.shift();
    return Promise.all(rows.map((row) => this.#resultOf(row, signal, next)));
  }

  /** Each row meets its own fault, as if each had its own request. */
  async #resultOf(row: MetricsRow, signal: AbortSignal, next: Fault | undefined): Promise<RowResult> {
    this.#tries.set(row.id, this.tries(row.id) + 1);
    if (this.unanswered(row.record)) return { unknown: this.#busy() };
    if (this.refuses(row.record)) return { refused: this.#refusal() };
    const created = !this.rows.has(row.id);
    try {
      await this.#meet(signal, () => this.#store([row]), next ?? this.random?.());
      return { created, id: row.id };
    } catch (error) {
      return { unknown: error as Error };
    }
  }

  /** How often a row was written in bulk, or was to be. */
  tries(id: string): number {
    return this.#tries.get(id) ?? 0;
  }

  async findId({ id }: MetricsRow): Promise<string | undefined> {
    return this.rows.has(id) ? id : undefined;
  }

  async #meet(
    signal: AbortSignal,
    store: () => void,
    next = this.faults.shift() ?? this.random?.(),
  ): Promise<void> {
    if (next === 'busy') throw this.#busy();
    if (next === 'slow') await sleep(60_000, undefined, { signal });
    await sleep(1);
    store();
    if (next === 'done but lost') throw this.#busy();
  }

  #store(rows: readonly MetricsRow[]): void {
    const bad = rows.find((row) => this.refuses(row.record));
    if (bad !== undefined) throw this.#refusal();
    for (const row of rows) this.rows.set(row.id, row.record);
  }

  #busy() {
    return new DataverseRetriableError('busy', { fault: fault(503) });
  }

  #refusal() {
    return new DataverseError('too long', { fault: fault(400) });
  }
}
