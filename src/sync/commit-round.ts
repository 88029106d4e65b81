import type { EntityConfig } from '../config/entities.ts';
import { quoteIdentifier as quote } from '../schema/sql.ts';
import type { Table } from '../schema/table.ts';
import { DigestSum } from '../store/row-digest.ts';
import type { SqliteDatabase } from '../store/sqlite-database.ts';
import {
  closureOpenMeta,
  createBookkeeping,
  readMeta,
  readStateTable,
  writeForeignKeys,
  writeLog,
  writeMeta,
  writeState,
} from './bookkeeping.ts';
import type { StoredChoices } from './choices.ts';
import { findClosure } from './closure.ts';
import {
  emptyReport,
  type Fetched,
  finalSlices,
  finalStart,
  readEverything,
  sweptAll,
} from './collect-round.ts';
import { countDangling, type DanglingCounts, totalDangling } from './dangling-references.ts';
import { describeFailure } from './fail-entity.ts';
import { openHistory } from './history.ts';
import { logRow, skippedReports, sourceOf } from './idle-round.ts';
import { readKnownIds, writeKnownIds } from './known-ids.ts';
import { readCachedState, saveState } from './load-state.ts';
import { type MergeCounts, mergeEntity } from './merge-entity.ts';
import { deletedAtColumn } from './mirror-table.ts';
import { nextState } from './next-state.ts';
import { type Catalog, type EntityReport, type MergedRound, paths, type RoundPlan } from './run-documents.ts';
import { applyMigration, migrationOf, tablesOf } from './schema-changes.ts';
import type { SyncServices } from './services.ts';
import { openShard } from './shards.ts';
import { emptyState, type State } from './state.ts';
import { writeChoices } from './write-choices.ts';

/** The round that the database holds last, so that a merge whose report was lost is not done twice. */
const lastRound = 'last-round';

/**
 * Merges a round into the database and commits it: rows, deletes, schema changes, cursors and log in one step.
 * @throws ConflictError where another writer committed first; nothing of this merge is visible then
 */
export async function commitRound(
  services: SyncServices,
  plan: RoundPlan,
  catalog: Catalog,
  fetched: readonly Fetched[],
): Promise<MergedRound> {
  const excluded = new Map<string, unknown>();
  const slices = fetched.flatMap((one) => one.slices);
  const incoming = slices.reduce((sum, slice) => sum + (slice.shardBytes ?? 0), 0);
  for (;;) {
    const { db, etag } = await services.database.open(incoming);
    let kept = false;
    try {
      createBookkeeping(db);
      const done = committedBefore(db, plan);
      const committer = new RoundCommitter(services, plan, catalog, db, etag);
      if (done !== undefined) {
        await committer.publishAgain();
        return done;
      }
      const failed = await committer.mergeAll(fetched, excluded);
      if (failed !== undefined) {
        // One entity's fault must not hold back the others: begin again from the blob, without it.
        excluded.set(failed.name, failed.error);
        continue;
      }
      const merged = await committer.commit();
      kept = true;
      return merged;
    } finally {
      if (!kept) db.close();
    }
  }
}

function committedBefore(db: SqliteDatabase, plan: RoundPlan): MergedRound | undefined {
  const stored = readMeta(db, lastRound);
  if (stored === undefined) return undefined;
  const last = JSON.parse(stored) as { runId: string; merged: MergedRound };
  return last.runId === plan.runId && last.merged.round === plan.round ? last.merged : undefined;
}

/** Counts of references without a target, by foreign key. */
const danglingMeta = 'dangling-references';

class RoundCommitter {
  readonly #services: SyncServices;
  readonly #plan: RoundPlan;
  readonly #catalog: Catalog;
  readonly #db: SqliteDatabase;
  readonly #etag: string | undefined;
  readonly #at: string;
  readonly #reports: EntityReport[] = [];
  readonly #next = new Map<string, Set<string>>();
  #state: State | undefined;
  /** Logical names of the tables whose rows or schema this round changed. */
  readonly #changed = new Set<string>();
  #danglingReferences: number | undefined;
  #stateEtag: string | undefined;

  constructor(
    services: SyncServices,
    plan: RoundPlan,
    catalog: Catalog,
    db: SqliteDatabase,
    etag: string | undefined,
  ) {
    this.#services = services;
    this.#plan = plan;
    this.#catalog = catalog;
    this.#db = db;
    this.#etag = etag;
    this.#at = services.now().toISOString();
  }

  /** Merges every entity. @returns the first one that failed: the database must not be used any further then */
  async mergeAll(
    fetched: readonly Fetched[],
    excluded: ReadonlyMap<string, unknown>,
  ): Promise<{ name: string; error: unknown } | undefined> {
    await this.#loadState();
    const before = tablesOf(this.#state!);
    const synced = Object.values(this.#catalog.tables);
    for (const one of fetched) {
      const error = excluded.get(one.name);
      if (error !== undefined || one.failure !== undefined) {
        const failure = one.failure ?? describeFailure(error);
        this.#reports.push({ ...emptyReport(one), state: 'failed', ...failure });
        continue;
      }
      try {
        await this.#mergeOne(one, synced, before);
      } catch (fault) {
        this.#services.telemetry.log(
          'error',
          `Merging ${one.name} failed; the others are merged without it.`,
          {
            runId: this.#plan.runId,
            entity: one.name,
            ...describeFailure(fault),
          },
        );
        return { name: one.name, error: fault };
      }
    }
    await this.#close();
    return undefined;
  }

  /** The state as the database has it, unless `state.json` describes this very database. */
  async #loadState(): Promise<void> {
    const cached = await readCachedState(this.#services);
    this.#stateEtag = cached?.etag;
    this.#state =
      cached !== undefined && cached.value.databaseEtag === this.#etag
        ? cached.value
        : { ...emptyState(), ...readStateTable(this.#db) };
  }

  async #mergeOne(one: Fetched, synced: readonly Table[], before: readonly Table[]): Promise<void> {
    const { runId } = this.#plan;
    const known = this.#state!.entities[one.name];
    const migration = migrationOf(known, this.#catalog.tables[one.name]!, synced, before);
    applyMigration(this.#db, migration.table, migration, { runId, at: this.#at });
    const { table } = migration;
    this.#forgetMarks(known?.table, table);
    const final = new Set(finalSlices(one));
    const shards = one.slices
      .filter((slice) => slice.shard !== undefined)
      .map((slice) => ({ open: () => openShard(this.#services, slice.shard!), final: final.has(slice) }));
    const { config } = one.plan;
    const allowed = await this.#deletesAllowed(one.name);
    const counts = await mergeEntity(this.#db, table, shards, {
      runId,
      at: this.#at,
      history: config.history,
      massDeleteLimit: allowed ? 1 : (config.massDeleteLimit ?? this.#services.settings.sync.massDeleteLimit),
      complete: readEverything(one),
      keys: await this.#sweptKeys(one),
    });
    if (counts.missed.length > 0) this.#ask(one.name, counts.missed);
    const { added, updated, deleted } = counts;
    if (migration.changes.length + added + updated + deleted > 0) this.#changed.add(one.name);
    this.#report(one, table, counts);
    this.#state!.entities[one.name] = nextState(this.#services.settings.sync, known, table, one, {
      rows: counts.rows,
      startedAt: this.#plan.createdAt,
      at: this.#at,
      settled: counts.heldBack === 0 && counts.missed.length === 0,
      digestOf: (since) => digestFromDatabase(this.#db, table, since),
    });
  }

  /** Rows that were only marked as deleted go when `deletes: "mark"` is given up. */
  #forgetMarks(before: Table | undefined, table: Table): void {
    const marks = (one: Table | undefined) => one?.columns.some((column) => column.name === deletedAtColumn);
    if (!marks(before) || marks(table)) return;
    this.#db.run(`DELETE FROM main.${quote(table.name)} WHERE ${quote(deletedAtColumn)} IS NOT NULL`);
  }

  /** Which keys the read compared. */
  async #sweptKeys(one: Fetched): Promise<'all' | string[] | undefined> {
    const { read } = finalStart(one);
    if (read.kind === 'known' && read.whole === undefined) return readKnownIds(this.#services, one.plan);
    return sweptAll(one) ? 'all' : undefined;
  }

  async #deletesAllowed(name: string): Promise<boolean> {
    const run = await this.#services.documents.run(this.#plan.runId);
    return run?.allowMassDelete?.includes(name) ?? false;
  }

  #ask(name: string, ids: Iterable<string>): void {
    const asked = this.#next.get(name) ?? new Set();
    for (const id of ids) asked.add(id);
    this.#next.set(name, asked);
  }

  #report(one: Fetched, table: Table, counts: MergeCounts): void {
    const { added, updated, deleted, rows, heldBack } = counts;
    this.#reports.push({
      ...emptyReport(one),
      table: table.name,
      state: 'merged',
      added,
      updated,
      deleted,
      unchanged: rows - added - updated,
      ...(heldBack === 0
        ? {}
        : {
            error: `${heldBack} of ${rows} rows would be deleted, more than the limit; nothing was deleted.`,
            hint: `If that is right, let it through once: POST /api/sync with {"allowMassDelete": ["${one.name}"]}.`,
          }),
    });
  }

  /** Asks for related rows that filtered tables lack, and once nothing is missing removes those no longer needed. */
  async #close(): Promise<void> {
    const configs = await this.#filteredEntities();
    if (configs.size === 0) return;
    const filtered = new Set(configs.keys());
    const tables = Object.values(this.#state!.entities).map((entity) => entity.table);
    const known = new Set(tables.map((table) => table.logicalName));
    const absent = [...filtered]
      .filter((name) => !known.has(name))
      .map((name) => this.#catalog.tables[name]!);
    const closure = findClosure(
      this.#db,
      [...tables, ...absent.filter((table) => table !== undefined)],
      filtered,
    );
    const asked = await this.#askedBefore();
    for (const [name, ids] of closure.missing) {
      const fresh = ids.filter((id) => !asked.get(name)?.has(id));
      if (fresh.length > 0) this.#ask(name, fresh);
    }
    const failed = this.#reports.some((report) => report.state === 'failed');
    // While a read is outstanding or failed, what seems unneeded may only seem so.
    if (this.#next.size === 0 && !failed) this.#removeUnneeded(closure.unneeded, configs);
    // A run that ends before its last round leaves this to the next one, even if that finds no change.
    const left = [...closure.missing.values(), ...closure.unneeded.values()].some((ids) => ids.length > 0);
    this.#state!.closureOpen = this.#next.size > 0 || (failed && left);
    for (const name of filtered) {
      const state = this.#state!.entities[name];
      if (state === undefined) continue;
      const ids = this.#db
        .all<{ id: string }>(
          `SELECT ${quote(state.table.primaryKey)} AS id FROM main.${quote(state.table.name)}${live(state.table)} ORDER BY 1`,
        )
        .map((row) => row.id);
      const digest = digestFromDatabase(this.#db, state.table);
      this.#state!.entities[name] = {
        ...state,
        strategy: 'linked',
        rows: ids.length,
        knownIds: await writeKnownIds(this.#services, ids),
        ...(state.contentDigest === undefined || digest === undefined ? {} : { contentDigest: digest }),
      };
    }
  }

  async #filteredEntities(): Promise<Map<string, EntityConfig>> {
    const first = await this.#services.documents.plan(this.#plan.runId, 1);
    const plans = Object.values(first?.entities ?? {});
    return new Map(plans.filter(({ config }) => config.filtered).map(({ config }) => [config.name, config]));
  }

  /** Ids that this run asked Dataverse for already: those still missing do not exist there. */
  async #askedBefore(): Promise<Map<string, Set<string>>> {
    const asked = new Map<string, Set<string>>();
    for (let round = 1; round <= this.#plan.round; round++) {
      const plan = await this.#services.documents.plan(this.#plan.runId, round);
      for (const [name, { read }] of Object.entries(plan?.entities ?? {})) {
        if (read.kind !== 'ids') continue;
        const ids = asked.get(name) ?? new Set();
        for (const id of read.ids) ids.add(id);
        asked.set(name, ids);
      }
    }
    return asked;
  }

  #removeUnneeded(unneeded: ReadonlyMap<string, string[]>, configs: ReadonlyMap<string, EntityConfig>): void {
    for (const [name, ids] of unneeded) {
      if (ids.length === 0) continue;
      const { table } = this.#state!.entities[name]!;
      this.#changed.add(name);
      const history = configs.get(name)!.history ? openHistory(this.#db, table, this.#at) : undefined;
      const condition = `${quote(table.primaryKey)} IN (SELECT id FROM temp.unneeded)`;
      this.#db.transaction(() => {
        this.#db.exec('CREATE TEMP TABLE unneeded (id TEXT PRIMARY KEY)');
        for (const id of ids) this.#db.run('INSERT INTO temp.unneeded VALUES (?)', [id]);
        history?.close(condition);
        this.#db.run(`DELETE FROM main.${quote(table.name)} WHERE ${condition}`);
        this.#db.exec('DROP TABLE temp.unneeded');
      });
      const report = this.#reports.find((one) => one.name === name);
      if (report !== undefined) {
        report.deleted += ids.length;
        report.unchanged = Math.max(0, report.unchanged - ids.length);
      }
    }
  }

  async commit(): Promise<MergedRound> {
    const { runId } = this.#plan;
    const db = this.#db;
    const state = this.#state!;
    await this.#writeChoices(state);
    this.#countDangling(state);
    db.transaction(() => {
      for (const row of state.pendingLog) writeLog(db, row);
      for (const report of this.#reports) writeLog(db, logRow(this.#plan, report, this.#at));
      for (const [name, entity] of Object.entries(state.entities)) writeState(db, name, entity, runId);
      writeForeignKeys(db, tablesOf(state));
      writeMeta(db, 'catalog', JSON.stringify(sourceOf(this.#plan)));
      writeMeta(db, closureOpenMeta, String(state.closureOpen === true));
      writeMeta(db, lastRound, JSON.stringify({ runId, merged: this.#merged() }));
    });
    const check = db.get<{ quick_check: string }>('PRAGMA main.quick_check')?.quick_check;
    if (check !== 'ok') throw new Error(`The merged database fails PRAGMA quick_check: ${check}`);
    const bytes = db.export();
    const committed = await this.#services.databaseBlob.commit(bytes, { etag: this.#etag ?? 'absent' });
    const { blocks: _, ...rest } = committed;
    const database = { bytes: bytes.byteLength, ...rest };
    await this.#saveState({
      ...state,
      ...sourceOf(this.#plan),
      databaseEtag: database.etag,
      databaseBytes: database.bytes,
    });
    this.#services.database.putBack(db, database.etag);
    return { ...this.#merged(), database };
  }

  async #writeChoices(state: State): Promise<void> {
    const { choices } = this.#catalog;
    await writeChoices(this.#db, tablesOf(state), choices, (digest) =>
      this.#services.documents.claim<StoredChoices>(paths.choices(digest)),
    );
    if (choices !== undefined) state.choices = choices;
  }

  /** References without a target, of all tables; those between tables that did not change were counted before. */
  #countDangling(state: State): void {
    const before = readMeta(this.#db, danglingMeta);
    const counts = countDangling(
      this.#db,
      tablesOf(state),
      before === undefined ? undefined : (JSON.parse(before) as DanglingCounts),
      this.#changed,
    );
    writeMeta(this.#db, danglingMeta, JSON.stringify(counts));
    this.#danglingReferences = totalDangling(counts);
  }

  /** For a round that is in the database although its report was lost: `state.json` is written again. */
  async publishAgain(): Promise<void> {
    await this.#loadState();
    await this.#saveState({
      ...this.#state!,
      ...sourceOf(this.#plan),
      ...(this.#etag === undefined ? {} : { databaseEtag: this.#etag }),
      databaseBytes: this.#db.byteLength,
    });
  }

  async #saveState(state: State): Promise<void> {
    await saveState(this.#services, { ...state, pendingLog: [] }, this.#stateEtag);
  }

  #merged(): MergedRound {
    return {
      round: this.#plan.round,
      entities: [...this.#reports, ...(this.#plan.round === 1 ? skippedReports(this.#catalog) : [])],
      ...(this.#danglingReferences === undefined ? {} : { danglingReferences: this.#danglingReferences }),
      next: Object.fromEntries([...this.#next].map(([name, ids]) => [name, [...ids].sort()])),
    };
  }
}

/** The digest of keys and versions of the rows in the database, as the record writer makes it of rows read. */
function digestFromDatabase(db: SqliteDatabase, table: Table, since?: string): string | undefined {
  const version = table.versionColumn;
  if (version === undefined) return undefined;
  const conditions: string[] = [];
  if (table.columns.some((column) => column.name === deletedAtColumn))
    conditions.push(`${quote(deletedAtColumn)} IS NULL`);
  const modified = table.modifiedOnColumn;
  if (since !== undefined && modified !== undefined) {
    // Text order is time order but for fractions of a second, so compare the whole seconds.
    conditions.push(`substr(${quote(modified)}, 1, 19) >= substr('${since}', 1, 19)`);
  }
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const rows = db.all<{ id: string; version: string | null }>(
    `SELECT ${quote(table.primaryKey)} AS id, CAST(${quote(version)} AS TEXT) AS version FROM main.${quote(table.name)}${where}`,
  );
  const sum = new DigestSum();
  for (const { id, version: digits } of rows) sum.add(Buffer.from(`${id}|${digits ?? ''}`));
  return sum.toString();
}

function live(table: Table): string {
  return table.columns.some((column) => column.name === deletedAtColumn)
    ? ` WHERE ${quote(deletedAtColumn)} IS NULL`
    : '';
}
