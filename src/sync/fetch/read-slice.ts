import type { CallOptions, Page, PageQuery } from '../../dataverse/client.ts';
import type { QueryOption } from '../../dataverse/read/page.ts';
import type { RequestStats } from '../../dataverse/transport/stats.ts';
import { RetriableError, SyncError } from '../../errors.ts';
import { entitySetOf, type Table } from '../../schema/table.ts';
import { readAbsentIds } from '../documents/absent-ids.ts';
import type { FetchMessage } from '../documents/messages.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SyncServices } from '../documents/services.ts';
import type { ReadSize, Slice, SliceStart } from '../documents/slice.ts';
import { readStoredIds } from '../documents/stored-ids.ts';
import { readingOf } from '../strategies/registry.ts';
import type { KnownIds, PageLinks, RowReader } from '../strategies/row-reader.ts';
import { checkModifiedOn } from './check-modified-on.ts';
import { addSizes, checkEnd, checkRowsById } from './endless-read.ts';
import { ReferenceFollower } from './follow-references.ts';
import { PageSize } from './page-size.ts';
import {
  comparedColumns,
  keysByIdQuery,
  keysQuery,
  rowsByIdQuery,
  rowsQuery,
  sampleRows,
  withoutRefused,
} from './slice-queries.ts';
import { SliceShard } from './slice-shard.ts';
import { resolveTombstones } from './tombstones.ts';

/** A slice, and the bytes of its shard unless it is empty. */
export interface SliceResult {
  slice: Slice;
  shard: Uint8Array | undefined;
}

/**
 * Reads pages from where the slice starts until the table ends or the budget is spent. A retriable error after at least
 * one page ends the slice early: what was read is kept, and the next slice retries the page that failed.
 * @param stats counts the requests, and may hold those of earlier attempts
 * @param options `redelivered`: another attempt has failed before
 */
export async function readSlice(
  services: SyncServices,
  message: FetchMessage,
  start: SliceStart,
  stats: RequestStats,
  options: { redelivered?: boolean } = {},
): Promise<SliceResult> {
  const { catalog, entities } = (await services.documents.plan(message.runId, message.round))!;
  const { tables } = await services.documents.catalog(catalog);
  const { entity } = message;
  return readRows(services, message, tables[entity]!, entities[entity]!, start, stats, options);
}

interface ReadOptions extends Pick<CallOptions, 'signal' | 'retry'> {
  redelivered?: boolean | undefined;
  /** Ends the slice after its first page or batch, and throws an error instead of reading in another way. */
  onePage?: boolean | undefined;
}

/** Reads a slice of a table that is not in the plan of a round. */
export async function readRows(
  services: SyncServices,
  message: FetchMessage,
  table: Table,
  plan: TablePlan,
  start: SliceStart,
  stats: RequestStats,
  options: ReadOptions,
): Promise<SliceResult> {
  const reader = new SliceReader(services, message, table, plan, stats, options);
  try {
    return await reader.read(start);
  } finally {
    await reader.close();
  }
}

const optionTexts: Readonly<Record<QueryOption, string>> = {
  order: 'an order',
  columns: 'a list of columns',
  in: 'the filter In',
  filter: 'a filter by id',
};

/** Whether a page was the last one of the rows. The keys of a sweep may follow. */
function hasReadRows({ part }: SliceStart, next: SliceStart | undefined): boolean {
  return part === 'rows' && (next === undefined || next.part === 'keys');
}

class SliceReader implements RowReader {
  readonly table: Table;
  readonly plan: TablePlan;
  readonly #services: SyncServices;
  readonly #message: FetchMessage;
  readonly #stats: RequestStats;
  readonly #options: ReadOptions;
  readonly #began = performance.now();
  readonly #shard: SliceShard;
  readonly #pageSize: PageSize;
  #pages = 0;
  #bytes = 0;
  #deltaLink: string | undefined;
  /** Where the slice starts. */
  #first: SliceStart | undefined;
  #readAt: string | undefined;
  readonly #refused = new Set<QueryOption>();
  readonly #notes: string[] = [];
  readonly #follower: ReferenceFollower;
  readonly #absent: string[] = [];
  /** Whether an error ends the slice before its budget is spent. */
  #isCutShort = false;
  /** Whether the next page is being read already. It belongs to this slice then. */
  #isAhead = false;
  /** The query that is being paged, until its last page or an error. */
  #paging: AsyncGenerator<Page> | undefined;

  constructor(
    services: SyncServices,
    message: FetchMessage,
    table: Table,
    plan: TablePlan,
    stats: RequestStats,
    options: ReadOptions,
  ) {
    this.#stats = stats;
    this.#options = options;
    this.table = table;
    this.plan = plan;
    this.#services = services;
    this.#message = message;
    this.#shard = new SliceShard(services.sqlite, table, plan, options);
    this.#follower = new ReferenceFollower(services, message, table, this.#shard);
    this.#pageSize = new PageSize(services, table, plan, this.#callOptions());
  }

  /** Ends a query that is still open, with the page that it may be reading ahead. */
  async close(): Promise<void> {
    await this.#endPaging();
    this.#shard.close();
  }

  async #endPaging(): Promise<void> {
    const paging = this.#paging;
    this.#paging = undefined;
    await paging?.return(undefined);
  }

  async read(start: SliceStart): Promise<SliceResult> {
    this.#first = start;
    this.#pageSize.rows = start.pageSize;
    let next: SliceStart | undefined = start;
    do {
      const position: SliceStart = next;
      next = await this.#advance(position);
      if (hasReadRows(position, next)) await readingOf(position).finish?.(position.read, this);
      if (next === undefined || next.read === position.read) continue;
      this.#logOtherRead(next);
      // A slice belongs to one read. While it is empty, it can take another one.
      if (this.#pages > 0) break;
      this.#first = next;
    } while (next !== undefined && !this.#isFull());
    return this.#result(this.#first, next);
  }

  /** Reads the next page or batch. After an error, another read, or the next slice at the same position. */
  async #advance(position: SliceStart): Promise<SliceStart | undefined> {
    const reading = readingOf(position);
    try {
      return await reading.advance(position, this);
    } catch (error) {
      await this.#endPaging();
      this.#isAhead = false;
      if (this.#options.onePage) throw error;
      // Where a slice begins, an attempt that fails twice will not get any further.
      const isStuck =
        !(error instanceof RetriableError) ||
        (this.#options.redelivered === true && position === this.#first);
      const other = reading.afterError?.(position, error, this, isStuck);
      if (other !== undefined) return other;
      // A slice that would end where it starts must fail, or it would be repeated for ever.
      if (!(error instanceof RetriableError) || position === this.#first) throw error;
      this.#isCutShort = true;
      return position;
    }
  }

  async readPage(query: Parameters<RowReader['readPage']>[0]): Promise<PageLinks> {
    const pageSize = await this.#pageSize.get();
    const page = await this.#nextPage(() => ({ ...rowsQuery(this.table, this.plan, pageSize), ...query }));
    this.#shard.writeRows(page);
    this.#count(page);
    this.#deltaLink = page.deltaLink;
    return page;
  }

  async readKeysPage(link: string | undefined, options: { values?: boolean } = {}): Promise<PageLinks> {
    const compared = comparedColumns(this.table, options);
    // Without a list of columns, whole rows come.
    const isWhole = this.plan.omit?.includes('columns') === true;
    const pageSize = isWhole ? await this.#pageSize.get() : this.#services.settings.dataverse.pageSize;
    const page = await this.#nextPage(() => keysQuery(this.table, compared, pageSize, link));
    this.#shard.writeKeys(page, compared);
    this.#count(page);
    return page;
  }

  async readRowsById(ids: readonly string[]): Promise<readonly string[]> {
    if (ids.length === 0) return [];
    const before = this.#shard.rowsRead;
    const pageSize = ids.length <= sampleRows ? sampleRows : await this.#pageSize.get();
    const query = rowsByIdQuery(this.table, this.plan, pageSize, ids);
    for await (const page of this.#services.dataverse.readByIds(query, this.#callOptions())) {
      this.#noteRefused(page);
      this.#shard.writeRows(page);
      this.#count(page);
      checkRowsById(entitySetOf(this.table), ids.length, this.#shard.rowsRead - before);
    }
    if (this.#shard.rowsRead - before === ids.length) return [];
    this.#shard.prepareRows();
    const { shard } = this.#shard;
    const present = new Set(shard.rowIds(this.table.primaryKey));
    const absent = ids.filter((id) => !present.has(id));
    shard.addDeleted(absent);
    return absent;
  }

  newReferences(known: KnownIds, limit: number): Promise<string[]> {
    this.#shard.prepareRows();
    return this.#follower.next(known, limit);
  }

  noteAbsent(ids: readonly string[]): void {
    this.#absent.push(...ids);
  }

  async readKeysById(ids: readonly string[], options: { values?: boolean } = {}): Promise<void> {
    if (ids.length === 0) return;
    const compared = comparedColumns(this.table, options);
    const query = keysByIdQuery(this.table, this.plan, compared, ids);
    for await (const page of this.#services.dataverse.readByIds(query, this.#callOptions())) {
      this.#noteRefused(page);
      this.#shard.writeKeys(page, compared);
      this.#count(page);
    }
  }

  readStoredIds(name: string): Promise<string[]> {
    return readStoredIds(this.#services, name);
  }

  async readAbsentIds(name: string): Promise<string[]> {
    return [...(await readAbsentIds(this.#services, name)).keys()];
  }

  async resolveTombstones(): Promise<void> {
    // The shards of earlier slices may name an id as a row and as deleted, too.
    if (this.#shard.isEmpty && this.#message.slice === 0) return;
    this.#shard.prepareRows();
    await resolveTombstones(this.#services, this.#message, this.table, this.#shard.shard, async (ids) => {
      await this.readRowsById(ids);
    });
  }

  async #nextPage(query: () => PageQuery): Promise<Page> {
    this.#paging ??= this.#services.dataverse.readPages(
      { ...withoutRefused(query(), this.plan), readAhead: (page) => this.#isWorthReadingAhead(page) },
      this.#callOptions(),
    );
    const { value, done } = await this.#paging.next();
    if (done === true) throw new SyncError(`Paging ${this.table.logicalName} ended without a last page.`);
    // Nothing follows the last page. The generator must end, or it would hold what it counts for the page.
    if (value.nextLink === undefined) await this.#endPaging();
    this.#noteRefused(value);
    if (this.#pages === 0 && value.requestedAt !== undefined) {
      this.#readAt = new Date(value.requestedAt).toISOString();
    }
    return value;
  }

  #noteRefused({ refused = [] }: Page): void {
    for (const option of refused) {
      if (this.#refused.has(option)) continue;
      this.#refused.add(option);
      this.#note(
        `Dataverse does not accept ${optionTexts[option]} for ${this.table.logicalName}. It is read without.`,
      );
    }
  }

  #note(text: string): void {
    this.#notes.push(text);
    const { runId, entity } = this.#message;
    this.#services.telemetry.log('warn', text, { runId, entity });
  }

  #callOptions() {
    const { signal, retry } = this.#options;
    return { stats: this.#stats, correlationId: this.#message.runId, signal, retry };
  }

  #count(page: Page): void {
    this.#pages += 1;
    this.#bytes += page.body.byteLength;
    const { runId, round, entity, slice } = this.#message;
    this.#services.progress.set(runId, round, entity, {
      slice,
      rowsRead: this.#shard.rowsRead,
      pages: this.#pages,
      bytes: this.#bytes,
    });
  }

  #isFull(): boolean {
    return this.#isCutShort || (!this.#isAhead && this.#isSpent(this.#bytes));
  }

  /** Whether another page belongs to the slice after this one. A page read ahead is never thrown away. */
  #isWorthReadingAhead(page: Page): boolean {
    this.#isAhead = page.nextLink !== undefined && !this.#isSpent(this.#bytes + page.body.byteLength);
    return this.#isAhead;
  }

  #isSpent(bytes: number): boolean {
    const { sliceBytes, sliceSeconds } = this.#services.settings.sync;
    const seconds = (performance.now() - this.#began) / 1000;
    if (this.#options.onePage) return true;
    return bytes >= sliceBytes || seconds >= sliceSeconds;
  }

  #logOtherRead({ strategy, reason }: SliceStart): void {
    const { entity, runId } = this.#message;
    const message = `The read of ${entity} starts over with the strategy ${strategy}: ${reason}`;
    this.#services.telemetry.log('warn', message, { runId, entity });
  }

  /** What the read has received with this slice, if the next one continues it. @throws SkipTableError if it does not end */
  #sizeWith(start: SliceStart, next: SliceStart | undefined, records: number): ReadSize | undefined {
    if (next === undefined || next.read !== start.read || next.part !== start.part) return undefined;
    const soFar = addSizes(start.soFar, { pages: this.#pages, records, bytes: this.#bytes });
    const { dataverse, sync } = this.#services.settings;
    const pageSize = next.link === undefined ? undefined : (this.#pageSize.rows ?? dataverse.pageSize);
    checkEnd(entitySetOf(this.table), soFar, { pageSize, databaseMaxBytes: sync.databaseMaxBytes });
    return soFar;
  }

  #result(start: SliceStart, next: SliceStart | undefined): SliceResult {
    const figures = this.#shard.finish();
    for (const finding of this.#shard.findings()) this.#note(finding);
    const { rowsRead, deleted, keys } = figures;
    const soFar = this.#sizeWith(start, next, rowsRead + deleted + keys);
    const slice: Slice = {
      slice: this.#message.slice,
      start,
      ...figures,
      maxModifiedOn: checkModifiedOn(figures.maxModifiedOn, this.table, start),
      pages: this.#pages,
      requests: this.#stats.requests,
      retries: this.#stats.retries,
      throttled: this.#stats.throttled,
      waitedSeconds: this.#stats.waitedSeconds,
      wireBytes: this.#stats.wireBytes,
      bytes: this.#bytes,
      seconds: (performance.now() - this.#began) / 1000,
      refused: this.#refused.size > 0 ? [...this.#refused] : undefined,
      absent: this.#absent.length > 0 ? this.#absent : undefined,
      notes: this.#notes.length > 0 ? this.#notes : undefined,
      readAt: this.#readAt,
      next: next && { ...next, pageSize: this.#pageSize.rows, soFar },
      deltaLink: this.#deltaLink,
    };
    const isEmpty = rowsRead + deleted + keys === 0;
    return { slice, shard: isEmpty ? undefined : this.#shard.shard.export() };
  }
}
