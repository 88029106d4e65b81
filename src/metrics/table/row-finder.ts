import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { readByIds } from '../../dataverse/read/read-by-ids.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import { readRow } from '../../dataverse/read/read-row.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { RetriableError, SyncError } from '../../errors.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import { campaignMetricsKey } from '../contract/campaign-metrics-fields.ts';
import { keyMeaning } from '../contract/key-meaning.ts';
import {
  type CampaignMetricsColumns,
  type MetricsRow,
  toMetricsRow,
  toODataFilter,
} from './campaign-metrics-columns.ts';
import type { VersionedRow } from './conditional-writes.ts';
import { consequenceOf } from './write-consequence.ts';

/** How many rows an instance remembers. A window of the journal has about four thousand. */
const maxKnown = 10_000;
/** Rows whose versions are read with one request: below the limit of its address. */
const idsPerRead = 500;
const parallelReads = 8;

/** Finds the ids and versions that rows have in Dataverse, and remembers them. */
export class RowFinder {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns: CampaignMetricsColumns;
  /** The newest versions that this instance wrote, so that writing a row again takes one request. */
  readonly #versions = new Map<string, string>();
  /** The ids of rows that have another one than their key gives: of earlier versions of this app, or other programs. */
  readonly #otherIds = new Map<string, string>();
  /** Rows that have the id that their key gives. */
  readonly #ownIds = new Map<string, true>();

  constructor(transport: Transport, settings: MetricsSettings, columns: CampaignMetricsColumns) {
    this.#transport = transport;
    this.#settings = settings;
    this.#columns = columns;
  }

  /** The id that a row has in Dataverse, as far as this instance knows. */
  idOf({ id }: MetricsRow): string {
    return this.#otherIds.get(id) ?? id;
  }

  versionOf(id: string): string | undefined {
    return this.#versions.get(id);
  }

  /** Remembers the version that a row has now; undefined if it is no longer known. */
  keepVersion(id: string, version: string | undefined): void {
    if (version === undefined) this.#versions.delete(id);
    else keep(this.#versions, id, version);
  }

  /** Remembers that a row was written under the id that its key gives. */
  keepId({ id }: MetricsRow, target: string): void {
    if (id === target) keep(this.#ownIds, id, true);
  }

  /** The version of the row with this id now; undefined if there is none. */
  async readVersion(id: string, signal: AbortSignal): Promise<string | undefined> {
    const options = { select: [this.#columns.id], signal };
    const row = await readRow(this.#transport, this.#settings.entitySet, id, options);
    return row && versionOf(row);
  }

  /**
   * The id of the row of this campaign, run and phase, from memory or from Dataverse; undefined if there is no such row.
   * @throws like `findOther`
   */
  async findId(row: MetricsRow, signal: AbortSignal): Promise<string | undefined> {
    const known = this.#otherIds.get(row.id) ?? (this.#ownIds.has(row.id) ? row.id : undefined);
    if (known !== undefined) return known;
    if ((await this.readVersion(row.id, signal)) === undefined) return this.findOther(row, signal);
    this.keepId(row, row.id);
    return row.id;
  }

  /**
   * The rows with their ids in Dataverse and their versions, from memory or from Dataverse; why not, if Dataverse did not
   * answer. A version is used once: the write replaces it.
   */
  async withVersions(
    rows: readonly MetricsRow[],
    signal: AbortSignal,
  ): Promise<(VersionedRow | { unknown: Error })[]> {
    const targets = rows.map(({ id, record }) => ({ id: this.#otherIds.get(id) ?? id, record }));
    const versions = new Map<string, string>();
    for (const { id } of targets) {
      const known = this.#versions.get(id);
      if (known !== undefined) versions.set(id, known);
      this.#versions.delete(id);
    }
    const ids = targets.map(({ id }) => id).filter((id) => !versions.has(id));
    const hasOthers = targets.some(({ id }, index) => id !== rows[index]!.id);
    const { found, unread } = await this.#readVersions(ids, hasOthers, signal);
    return rows.map((row, index) => {
      const target = targets[index]!;
      const unknown = unread.get(target.id);
      if (unknown !== undefined) return { unknown };
      const read = found.get(target.id);
      const version = versions.get(target.id) ?? (read && versionOf(read));
      const isKnown = read === undefined ? version !== undefined : hasKeyOf(read, row, this.#columns);
      if (target.id === row.id || isKnown) return { row, target, version };
      // Somebody deleted the row, or gave it another key.
      this.#otherIds.delete(row.id);
      return { row, target: row, version: undefined };
    });
  }

  /** Reads the rows with these ids, and tells which could not be read, and why. */
  async #readVersions(ids: readonly string[], withKey: boolean, signal: AbortSignal) {
    const { id: primaryKey, column } = this.#columns;
    const select = [primaryKey, ...(withKey ? campaignMetricsKey.map((name) => column[name]) : [])];
    const found = new Map<string, Row>();
    const unread = new Map<string, Error>();
    const starts = Array.from({ length: Math.ceil(ids.length / idsPerRead) }, (_, n) => n * idsPerRead);
    await forEachConcurrently(starts, parallelReads, async (start) => {
      const some = ids.slice(start, start + idsPerRead);
      const query = { entitySet: this.#settings.entitySet, primaryKey, ids: some, select };
      try {
        for await (const page of readByIds(this.#transport, query, { signal })) {
          for (const row of parseRows(page)) {
            versionOf(row);
            found.set(String(row[primaryKey]).toLowerCase(), row);
          }
        }
      } catch (error) {
        consequenceOf(error);
        for (const id of some) unread.set(id, error as Error);
      }
    });
    return { found, unread };
  }

  /**
   * The id of the row that Dataverse takes for the row of this campaign, run and phase. By a filter, because Dataverse
   * does not find values with characters such as `/` by alternate key (learn.microsoft.com: Define alternate keys to
   * reference rows).
   * @throws SyncError if that row is of another record: replacing it would lose it
   */
  async findOther(wanted: MetricsRow, signal: AbortSignal): Promise<string | undefined> {
    this.#otherIds.delete(wanted.id);
    this.#ownIds.delete(wanted.id);
    const { record } = wanted;
    const { entitySet } = this.#settings;
    const { id, column } = this.#columns;
    const { campaignId, runId, phase } = record;
    const filter = toODataFilter({ campaignId, runId, phase }, this.#columns);
    const select = [id, ...campaignMetricsKey.map((name) => column[name])];
    for await (const page of readPages(this.#transport, { entitySet, select, filter }, { signal })) {
      const [row] = parseRows(page);
      if (row === undefined) continue;
      const other = toMetricsRow(row, this.#columns);
      if (hasKeyOf(row, wanted, this.#columns)) {
        if (other.id !== wanted.id) keep(this.#otherIds, wanted.id, other.id);
        return other.id;
      }
      throw new SyncError(`Dataverse takes this campaign, run and phase for those of the row ${other.id}.`, {
        operation: 'write campaign metrics',
        object: entitySet,
        hint: 'Choose values that differ in plain letters or digits, not only in symbols or in how a letter is written.',
      });
    }
    return undefined;
  }
}

function hasKeyOf(row: Row, { record }: MetricsRow, columns: CampaignMetricsColumns): boolean {
  const other = toMetricsRow(row, columns);
  return campaignMetricsKey.every(
    (name) => keyMeaning(String(other.record[name] ?? '')) === keyMeaning(record[name]),
  );
}

/** Adds to a map of bounded size. The entry that was added first leaves it. */
function keep<T>(map: Map<string, T>, id: string, value: T): void {
  map.set(id, value);
  if (map.size > maxKnown) map.delete(map.keys().next().value!);
}

/** @throws RetriableError if Dataverse did not send the version: without it the next write would be unconditional */
export function versionOf(row: Row): string {
  const version = row['@odata.etag'];
  if (typeof version === 'string') return version;
  throw unusable('Dataverse answered with a row without its version.');
}

/** The row may be written or not: the caller queues it. */
export function unusable(message: string): RetriableError {
  return new RetriableError(message, { operation: 'write campaign metrics' });
}
