import type { Repair } from './convert.ts';

/** The values of a table that PostgreSQL cannot store, by column: for its report. */
export class Repairs {
  readonly #counts = new Map<string, number>();

  add(column: string, repair: Repair, count = 1): void {
    const key = `${repair} ${column}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  /** All of them as plain data, for `addAll`. */
  get counts(): [string, number][] {
    return [...this.#counts];
  }

  addAll(counts: readonly [string, number][]): void {
    for (const [key, count] of counts) this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  /** Sentences that say what was done. */
  notes(): string[] {
    return [...this.#counts].map(([key, count]) => {
      const [repair, column] = [key.slice(0, key.indexOf(' ')), key.slice(key.indexOf(' ') + 1)];
      return repair === 'characters'
        ? `PostgreSQL cannot store some characters of ${count} values of ${column}: they were left out`
        : `PostgreSQL cannot store ${count} values of ${column}: they are NULL`;
    });
  }
}
