import type { MetricsSettings } from '../../config/metrics-settings.ts';
import type { MetricsRow } from './campaign-metrics-columns.ts';

/** Dataverse ends every request after this time; learn.microsoft.com: Service protection and execution limits. */
const longestTimeoutMs = 120_000;
/**
 * Requests in one `$batch`. Dataverse executes them one after the other, so several smaller batches at the same time are
 * faster. learn.microsoft.com: Send parallel requests.
 */
const batchSize = 100;
/** From here on a request holds one row. */
const maxLevel = 10;
/** How many slow rows an instance remembers. A window of the journal has about four thousand rows. */
const maxSlow = 10_000;

/**
 * How long a bulk write may take, and how many rows its requests hold. Both follow from levels: with each level the time
 * doubles and the requests become smaller, so rows that are slow, because of a plug-in for example, are written however
 * slow they are. There is one level for all rows, and one for each row that ran out of time, so that rows that are in
 * time hold back neither those that are not, nor the reverse.
 */
export class BulkLimits {
  readonly #settings: MetricsSettings;
  readonly #maxTimeoutMs: number;
  readonly #slow = new Map<string, number>();
  #level = 0;

  constructor(settings: MetricsSettings, maxTimeoutMs = longestTimeoutMs) {
    this.#settings = settings;
    this.#maxTimeoutMs = maxTimeoutMs;
  }

  levelOf({ id }: Pick<MetricsRow, 'id'>): number {
    return Math.max(this.#level, this.#slow.get(id) ?? 0);
  }

  /** Milliseconds. */
  timeoutAt(level: number): number {
    return Math.min(this.#maxTimeoutMs, this.#settings.bulkTimeoutMs * 2 ** level);
  }

  /** Rows in one request that creates them. */
  createSizeAt(level: number): number {
    return Math.ceil(this.#settings.bulkSize / 2 ** level);
  }

  /** Rows in one batch of updates: smaller from the second time on, because the first can be one lost answer. */
  batchSizeAt(level: number): number {
    return Math.ceil(batchSize / 2 ** Math.max(0, level - 1));
  }

  /**
   * Takes note of a call that ran out of time.
   * @param late its rows that have no result; `level` is the one that they were written with
   * @param count how many rows it had
   */
  wasTooSlow(late: readonly { id: string; level: number }[], count: number): void {
    for (const { id, level } of late) this.#keep(id, level + 1);
    // The others were written meanwhile: a few late rows, or one lost answer, say nothing about all.
    if (late.length * 2 < count) return;
    const level = Math.min(...late.map((row) => row.level)) + 1;
    this.#level = Math.max(this.#level, Math.min(maxLevel, level));
  }

  /** Takes note of rows that have a result, and of how long their call took. */
  wereInTime(rows: readonly { id: string; level: number }[], milliseconds: number, hadTime: boolean): void {
    for (const { id, level } of rows) {
      if (this.#slow.has(id)) this.#keep(id, this.#after(level, rows.length, milliseconds));
    }
    if (hadTime) this.#level = this.#after(this.#level, rows.length, milliseconds);
  }

  /** The level below, if rows that took so long would be in time there with requests as large as they are there. */
  #after(level: number, count: number, milliseconds: number): number {
    const size = this.batchSizeAt(level - 1);
    const expected = milliseconds * Math.max(1, size / Math.min(count, this.batchSizeAt(level)));
    return expected <= this.timeoutAt(level - 1) ? Math.max(0, level - 1) : level;
  }

  #keep(id: string, level: number): void {
    this.#slow.delete(id);
    if (level > 0) this.#slow.set(id, Math.min(maxLevel, level));
    if (this.#slow.size > maxSlow) this.#slow.delete(this.#slow.keys().next().value!);
  }
}

/** Parts of rows, in order. No part has more rows than each of its rows allows. */
export function partsOf<T>(rows: readonly T[], sizeOf: (row: T) => number): T[][] {
  const parts: T[][] = [];
  let room = 0;
  for (const row of rows) {
    const part = parts.at(-1) ?? [];
    const size = sizeOf(row);
    if (room > 0 && part.length < size) {
      part.push(row);
      room = Math.min(room, size - part.length + 1) - 1;
    } else {
      parts.push([row]);
      room = size - 1;
    }
  }
  return parts;
}
