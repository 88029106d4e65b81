import type { Page, PageQuery } from '../../dataverse/client.ts';
import { dataverseFault, LinkError } from '../../dataverse/errors/errors.ts';
import { ChangeTrackingError, parseTombstone } from '../../dataverse/read/change-tracking.ts';
import { createRequestStats } from '../../dataverse/transport/stats.ts';
import { RetriableError, SyncError } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import type { RecordWriter } from '../../sqlite/record-writer.ts';
import { emptyDigest } from '../../sqlite/row-digest.ts';
import { Shard } from '../../sqlite/shard.ts';
import { readKnownIds } from '../documents/known-ids.ts';
import type { FetchMessage } from '../documents/messages.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SyncServices } from '../documents/services.ts';
import type { Slice, SliceStart } from '../documents/slice.ts';
import { rowVersion } from './row-version.ts';
import { idsQuery, keysQuery, knownQuery, rowsQuery } from './slice-queries.ts';
import { resolveTombstones } from './tombstones.ts';

/** Ids asked for at a time: one `In` request or a few, well below a slice's budget. */
const idsAtOnce = 5000;

/** A slice and the bytes of its shard, undefined where nothing was read. */
export interface SliceResult {
  slice: Slice;
  shard: Uint8Array | undefined;
}

/**
 * Reads pages from where the slice starts until the entity ends or the budget is spent.
 * A fault after at least one page ends the slice early instead: what was read is kept, and the next
 * slice meets the fault, so resumption is by the page.
 */
export async function readSlice(
  services: SyncServices,
  message: FetchMessage,
  start: SliceStart,
  signal?: AbortSignal,
): Promise<SliceResult> {
  const plan = (await services.documents.plan(message.runId, message.round))!;
  const { tables } = await services.documents.catalog(plan.catalog);
  const reader = new SliceReader(
    services,
    message,
    tables[message.entity]!,
    plan.entities[message.entity]!,
    signal,
  );
  try {
    return await reader.read(start);
  } finally {
    await reader.close();
  }
}

class SliceReader {
  readonly #services: SyncServices;
  readonly #message: FetchMessage;
  readonly #table: Table;
  readonly #plan: TablePlan;
  readonly #signal: AbortSignal | undefined;
  readonly #stats = createRequestStats();
  readonly #began = performance.now();
  readonly #shard: Shard;
  readonly #rows: RecordWriter;
  #keys: RecordWriter | undefined;
  #pages = 0;
  #bytes = 0;
  #deltaLink: string | undefined;
  /** The query that is being paged; a new one begins wherever the position leaves it. */
  #paging: AsyncGenerator<Page> | undefined;

  constructor(
    services: SyncServices,
    message: FetchMessage,
    table: Table,
    plan: TablePlan,
    signal: AbortSignal | undefined,
  ) {
    this.#services = services;
    this.#message = message;
    this.#table = table;
    this.#plan = plan;
    this.#signal = signal;
    this.#shard = Shard.create(services.sqlite);
    this.#rows = this.#shard.recordWriter('rows', {
      columns: table.columns.filter((column) => column.property !== undefined),
      primaryKey: table.primaryKey,
      version: rowVersion,
      keyless: parseTombstone,
      ...(plan.config.rawJson ? { rawJson: '_json' } : {}),
      ...(table.modifiedOnColumn === undefined ? {} : { maxOf: table.modifiedOnColumn }),
    });
  }

  /** Ends a query that is still open, with the page it may be reading ahead. */
  async close(): Promise<void> {
    await this.#paging?.return(undefined);
    this.#shard.close();
  }

  async read(start: SliceStart): Promise<SliceResult> {
    let position: SliceStart | undefined = start;
    while (position !== undefined) {
      const here: SliceStart = position;
      try {
        position = await this.#advance(here);
      } catch (error) {
        this.#paging = undefined;
        const fallback = this.#afterFault(here, error);
        if (fallback === undefined) throw error;
        position = fallback;
        // What this slice read so far belongs to the read that was refused: it ends here.
        if (this.#pages > 0) break;
        start = fallback;
        continue;
      }
      // A slice belongs to one read; another one begins a slice of its own.
      if (position !== undefined && (position.read !== here.read || this.#budgetSpent())) break;
    }
    if (position === undefined) await this.#finishTable(start);
    return this.#result(start, position);
  }

  /** Reads one page, or one batch of ids, and says where the next one begins. */
  async #advance(position: SliceStart): Promise<SliceStart | undefined> {
    if (position.part === 'keys') return this.#advanceKeys(position);
    const { read } = position;
    if (read.kind === 'ids') return this.#advanceIds(position, read.ids);
    if (read.kind === 'known') {
      if (read.whole === undefined) return { ...position, part: 'keys' };
      return this.#advanceIds(position, await readKnownIds(this.#services, this.#plan));
    }
    const page = await this.#nextPage(() => rowsQuery(this.#table, this.#plan, position, this.#pageSize));
    this.#write(this.#rows, page);
    if (page.nextLink !== undefined) return { ...position, link: page.nextLink };
    this.#paging = undefined;
    this.#deltaLink = page.deltaLink;
    if ((read.kind === 'delta' || read.kind === 'delta-initial') && page.deltaLink === undefined) {
      return this.#withoutDelta(position, 'Dataverse gave no delta link at the end of the read');
    }
    return this.#plan.sweep && read.kind === 'modifiedon'
      ? withoutLink({ ...position, part: 'keys' })
      : undefined;
  }

  async #advanceIds(position: SliceStart, ids: readonly string[]): Promise<SliceStart | undefined> {
    const offset = position.offset ?? 0;
    const batch = ids.slice(offset, offset + idsAtOnce);
    if (batch.length > 0) {
      const before = this.#rows.rows;
      for await (const page of this.#services.dataverse.readByIds(
        idsQuery(this.#table, this.#plan, batch),
        this.#callOptions(),
      )) {
        this.#count(page);
        this.#write(this.#rows, page);
      }
      this.#markAbsent(batch, this.#rows.rows - before);
    }
    const next = offset + batch.length;
    return next < ids.length ? { ...position, offset: next } : undefined;
  }

  /** Ids that were asked for and not returned are rows that Dataverse does not have. */
  #markAbsent(asked: readonly string[], returned: number): void {
    if (returned === asked.length) return;
    const { db } = this.#shard;
    const present = new Set(
      db.all<{ id: string }>(`SELECT "${this.#table.primaryKey}" AS id FROM rows`).map((row) => row.id),
    );
    for (const id of asked) {
      if (!present.has(id)) db.run('INSERT INTO deleted (id) VALUES (?)', [id]);
    }
  }

  async #advanceKeys(position: SliceStart): Promise<SliceStart | undefined> {
    this.#keys ??= this.#shard.recordWriter('keys', {
      columns: this.#table.columns.filter((column) => column.name === this.#table.primaryKey),
      primaryKey: this.#table.primaryKey,
      version: rowVersion,
    });
    if (position.read.kind === 'known') return this.#advanceKnown(position);
    const page = await this.#nextPage(() => keysQuery(this.#table, position, this.#pageSize));
    this.#write(this.#keys, page);
    if (page.nextLink !== undefined) return { ...position, link: page.nextLink };
    this.#paging = undefined;
    return undefined;
  }

  async #advanceKnown(position: SliceStart): Promise<SliceStart | undefined> {
    const ids = await readKnownIds(this.#services, this.#plan);
    const offset = position.offset ?? 0;
    const batch = ids.slice(offset, offset + idsAtOnce);
    if (batch.length > 0) {
      for await (const page of this.#services.dataverse.readByIds(
        knownQuery(this.#table, batch),
        this.#callOptions(),
      )) {
        this.#count(page);
        this.#write(this.#keys!, page);
      }
    }
    const next = offset + batch.length;
    return next < ids.length ? { ...position, offset: next } : undefined;
  }

  /**
   * What a fault leads to: another read where change tracking refuses, the end of the slice where pages are
   * in hand already, undefined where the fault must be thrown.
   */
  #afterFault(position: SliceStart, error: unknown): SliceStart | undefined {
    if (error instanceof ChangeTrackingError) {
      return this.#withoutDelta(position, error.message, error.reason === 'expired');
    }
    // The environment's address changed, and with it the origin of the stored link: no request may follow it.
    if (error instanceof LinkError && position.read.kind === 'delta' && position.link === undefined) {
      return this.#withoutDelta(position, error.message);
    }
    if (position.read.kind === 'delta' && isRefusal(error)) {
      return this.#withoutDelta(position, (error as Error).message);
    }
    const passing = error instanceof RetriableError && this.#pages > 0 && this.#signal?.aborted !== true;
    return passing ? position : undefined;
  }

  /** An expired link leads to a new baseline; a table that cannot be tracked to the next strategy. */
  #withoutDelta(position: SliceStart, reason: string, expired = true): SliceStart | undefined {
    const { entity, runId } = this.#message;
    this.#services.telemetry.log('warn', `Change tracking of ${entity} is left: ${reason}`, {
      runId,
      entity,
    });
    if (expired && position.read.kind === 'delta') {
      return { strategy: 'delta', read: { kind: 'delta-initial' }, part: 'rows', reason };
    }
    const { fallback } = this.#plan;
    if (fallback === undefined || position.strategy !== 'delta') return undefined;
    return { ...fallback, part: 'rows', reason };
  }

  async #finishTable(start: SliceStart): Promise<void> {
    if (start.read.kind === 'delta') {
      await resolveTombstones(this.#services, this.#message, this.#table, this.#shard, (ids) =>
        this.#readAgain(ids),
      );
    }
  }

  async #readAgain(ids: string[]): Promise<void> {
    await this.#advanceIds({ strategy: 'delta', read: { kind: 'ids', ids }, part: 'rows' }, ids);
  }

  get #pageSize(): number {
    return this.#services.settings.dataverse.pageSize;
  }

  #callOptions() {
    return {
      stats: this.#stats,
      correlationId: this.#message.runId,
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    };
  }

  async #nextPage(query: () => PageQuery): Promise<Page> {
    this.#paging ??= this.#services.dataverse.readPages(query(), this.#callOptions());
    const { value, done } = await this.#paging.next();
    if (done === true) throw new SyncError(`Paging ${this.#table.logicalName} ended without a last page.`);
    this.#count(value);
    return value;
  }

  #count(page: Page): void {
    this.#pages += 1;
    this.#bytes += page.body.byteLength;
  }

  #write(writer: RecordWriter, page: Page): void {
    writer.write(page.body, page.recordsStart, page.recordsEnd);
    const { runId, round, entity } = this.#message;
    this.#services.progress.set(runId, round, entity, {
      rowsRead: this.#rows.rows,
      pages: this.#pages,
      bytes: this.#bytes,
    });
  }

  #budgetSpent(): boolean {
    const { sliceBytes, sliceSeconds } = this.#services.settings.sync;
    return this.#bytes >= sliceBytes || performance.now() - this.#began >= sliceSeconds * 1000;
  }

  #result(start: SliceStart, next: SliceStart | undefined): SliceResult {
    const rows = this.#rows;
    rows.finish();
    const keys = this.#keys?.rows ?? 0;
    const deleted = this.#shard.db.get<{ n: number }>('SELECT count(*) AS n FROM deleted')!.n;
    const slice: Slice = {
      slice: this.#message.slice,
      start,
      rowsRead: rows.rows,
      deleted,
      keys,
      pages: this.#pages,
      requests: this.#stats.requests,
      retries: this.#stats.retries,
      bytes: this.#bytes,
      seconds: (performance.now() - this.#began) / 1000,
      digest: rows.digest,
      keysDigest: this.#keys?.digest ?? emptyDigest(),
      ...(rows.max === undefined ? {} : { maxModifiedOn: rows.max }),
      ...(next === undefined ? {} : { next }),
      ...(this.#deltaLink === undefined ? {} : { deltaLink: this.#deltaLink }),
    };
    const empty = rows.rows === 0 && deleted === 0 && keys === 0;
    return { slice, shard: empty ? undefined : this.#shard.export() };
  }
}

/**
 * Whether a stored delta link no longer fits the table: it repeats the query that it began with, and names columns
 * that were deleted since, or an entity set that has another name by now.
 */
function isRefusal(error: unknown): boolean {
  const status = dataverseFault(error)?.status;
  return (status === 400 || status === 404) && !(error instanceof RetriableError);
}

function withoutLink(position: SliceStart): SliceStart {
  const { link: _, ...rest } = position;
  return rest;
}
