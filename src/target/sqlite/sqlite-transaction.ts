import type { Table } from '../../schema/table.ts';
import type { MirrorValue } from '../mirror-contents.ts';
import type {
  Closure,
  CommitContents,
  FetchedFile,
  FileComparison,
  FileKey,
  FoundOutcome,
  Labels,
  MergeOptions,
  MirrorTransaction,
  Referrers,
  RemovedRows,
  RemoveOptions,
  ShardPart,
  TableMerge,
  TransactionOptions,
} from '../mirror-target.ts';
import {
  comparedFiles,
  type DatabaseReport,
  type LoadedState,
  type State,
  type SyncLogRow,
  unchangedReport,
  withPendingLog,
} from '../state.ts';
import { closureAcrossFiles, isInClosure } from './files/closure-across-files.ts';
import { type Committed, commitFiles } from './files/commit-files.ts';
import { FileContents } from './files/file-contents.ts';
import type { OpenFile, OpenFiles } from './files/open-files.ts';
import { findOutcome } from './files/outcomes.ts';

/**
 * Works on the database files. `commit` stores each that was changed, then `state.json`. With several files, one is opened
 * when something is done with its tables.
 */
export class SqliteTransaction implements MirrorTransaction {
  readonly state: State;
  /** Whether a database was stored. */
  isCommitted = false;
  /** Logical names of the tables that were merged. */
  readonly merged = new Set<string>();
  readonly #files: OpenFiles;
  readonly #options: TransactionOptions;
  readonly #save: (loaded: LoadedState) => Promise<void>;
  /** Logical names of the tables that were changed. */
  readonly #changed = new Set<string>();
  #hasDropped = false;
  /** The counts of dangling references of the files that were counted, by the name of the file. */
  readonly #dangling = new Map<string, number>();
  readonly #contents: FileContents;

  constructor(files: OpenFiles, options: TransactionOptions, save: (loaded: LoadedState) => Promise<void>) {
    this.state = files.state;
    this.#files = files;
    this.#contents = new FileContents(files);
    this.#options = options;
    this.#save = save;
  }

  findOutcome(isOwn: (outcome: unknown) => boolean): Promise<FoundOutcome | undefined> {
    return findOutcome(this.#files, isOwn);
  }

  isOpen(table: Table): boolean {
    return !this.#files.isSplit || this.#files.has(this.#files.nameOf(table));
  }

  async mergeTable(table: Table, shards: readonly ShardPart[], options: MergeOptions): Promise<TableMerge> {
    const { logicalName } = table;
    const file = await this.#files.of(table);
    await this.#dropLeftover(file, table);
    const parts = shards.map(({ isFinal }) => ({ isFinal }));
    this.merged.add(logicalName);
    const merge = await file.work.mergeTable(this.#files.stateOf(file.name), table, parts, options, (index) =>
      shards[index]!.read(),
    );
    const before = this.state.entities[logicalName]?.table;
    if (before !== undefined && before.database !== table.database) {
      this.state.leftovers = [...(this.state.leftovers ?? []), before];
    }
    if (merge.schemaChanges + merge.added + merge.updated + merge.deleted > 0) this.#touch(file, logicalName);
    return merge;
  }

  /** A table that comes back to a file which still has it from before. */
  async #dropLeftover(file: OpenFile, table: Table): Promise<void> {
    const { leftovers = [] } = this.state;
    const isSame = (one: Table) => one.logicalName === table.logicalName && one.database === table.database;
    const left = leftovers.find(isSame);
    if (left === undefined) return;
    const state = this.#files.stateOf(file.name);
    const entities = { ...state.entities, [left.logicalName]: this.state.entities[left.logicalName]! };
    entities[left.logicalName] = { ...entities[left.logicalName]!, table: left };
    await file.work.dropTable({ ...state, entities }, left.logicalName, { keepsHistory: true });
    this.state.leftovers = leftovers.filter((one) => !isSame(one));
    this.#touch(file, left.logicalName);
  }

  #touch({ name }: OpenFile, logicalName?: string): void {
    this.#files.changed.add(name);
    if (logicalName !== undefined) this.#changed.add(logicalName);
  }

  /** Adds rows to a table of the file that has `table`; those that are there stay. */
  async insertRows(
    table: Pick<Table, 'database'>,
    into: string,
    columns: readonly string[],
    rows: readonly (readonly MirrorValue[])[],
  ): Promise<void> {
    const file = await this.#files.of(table);
    await file.work.insertRows(into, columns, rows);
    this.#touch(file);
  }

  async contentDigest(table: Table, since?: string): Promise<string | undefined> {
    return (await this.#files.of(table)).work.contentDigest(table, since);
  }

  async rowIds(table: Table): Promise<string[]> {
    return (await this.#files.of(table)).work.rowIds(table);
  }

  async findClosure(
    tables: readonly Table[],
    filtered: ReadonlySet<string>,
    withPresent: ReadonlySet<string> = new Set(),
  ): Promise<Closure> {
    if (!this.#files.isSplit) {
      const { work } = await this.#files.get(this.#files.defaultName);
      return work.findClosure(this.state, tables, filtered, withPresent);
    }
    const isAsBefore =
      !this.#hasDropped &&
      withPresent.size === 0 &&
      this.state.closureOpen !== true &&
      [...filtered].every((name) => this.#isSettled(name)) &&
      !tables.some((table) => this.#changed.has(table.logicalName) && isInClosure(table, filtered));
    // Then the other files need not be opened.
    if (isAsBefore) return { missing: new Map(), present: new Map(), unneeded: new Map(), isPartial: true };
    return closureAcrossFiles(this.#files, tables, filtered, withPresent);
  }

  /** Whether nothing is to be looked for again of what a filtered table lacks. */
  #isSettled(name: string): boolean {
    const known = this.state.entities[name];
    const { againAt } = known?.absentIds ?? {};
    return known !== undefined && (againAt === undefined || againAt > this.#options.at);
  }

  async referrers(tables: readonly Table[], target: string, ids: readonly string[]): Promise<Referrers> {
    const byFile = Map.groupBy(tables, (table) => this.#files.nameOf(table));
    const found = new Map<string, ReadonlyMap<string, bigint>>();
    for (const [name, own] of byFile) {
      const { work } = await this.#files.get(name);
      for (const [table, digests] of await work.referrers(own, target, ids)) found.set(table, digests);
    }
    return found;
  }

  async dropTable(logicalName: string): Promise<void> {
    const { entities } = this.state;
    const known = entities[logicalName];
    if (known === undefined) return;
    const file = await this.#files.of(known.table);
    const others = await file.work.dropTable(this.#files.stateOf(file.name), logicalName);
    delete entities[logicalName];
    Object.assign(entities, others);
    this.#hasDropped = true;
    this.#touch(file, logicalName);
  }

  async removeRows(table: Table, ids: readonly string[], options: RemoveOptions): Promise<RemovedRows> {
    const file = await this.#files.of(table);
    const result = await file.work.removeRows(table, ids, options);
    if (result.removed > 0) this.#touch(file, table.logicalName);
    return result;
  }

  /** Also in files that are not open, if all labels may have changed, or tables are to be dropped: views show their names. */
  async writeLabels(
    digest: string | undefined,
    read: (digest: string) => Promise<Labels | undefined>,
  ): Promise<boolean> {
    const { isSplit, names, opened } = this.#files;
    const areOthers = isSplit && digest !== undefined && digest !== this.state.choices;
    const leftovers = isSplit ? (this.state.leftovers ?? []) : [];
    const isDropping = this.#hasLeftovers;
    const places = (isDropping ? leftovers : []).map((table) => this.#files.nameOf(table));
    let haveChanged = false;
    for (const name of areOthers ? names : new Set([...opened.map((file) => file.name), ...places])) {
      const file = await this.#files.get(name);
      const state = this.#files.presentStateOf(name, isDropping ? [] : leftovers);
      const isChanged = await file.work.writeLabels(state, digest, read);
      if (isChanged) this.#touch(file);
      haveChanged ||= isChanged;
    }
    return haveChanged;
  }

  /** The files that a commit stores. */
  #toStore(): OpenFile[] {
    const { isSplit, opened, changed } = this.#files;
    return opened.filter(({ name }) => !isSplit || changed.has(name));
  }

  async findUnlabelled(): Promise<{ logicalName: string; table: string; column: string }[]> {
    const found: { logicalName: string; table: string; column: string }[] = [];
    for (const { name, work } of this.#toStore()) {
      found.push(...(await work.findUnlabelled(this.#files.stateOf(name))));
    }
    return found;
  }

  /** Whether references of this file were counted. The figures of a check are in it then. */
  hasCounted(file: string): boolean {
    return this.#dangling.has(file);
  }

  async countDangling(changed: ReadonlySet<string>): Promise<number> {
    for (const { name, work } of this.#toStore()) {
      this.#dangling.set(name, await work.countDangling(this.#files.stateOf(name), changed));
    }
    const { databases = {} } = this.state;
    return this.#files.names.reduce(
      (sum, name) => sum + (this.#dangling.get(name) ?? databases[name]?.dangling ?? 0),
      0,
    );
  }

  compareFiles(tables: readonly Table[]): Promise<FileComparison> {
    return this.#contents.compare(tables);
  }

  writeFiles(fetched: readonly FetchedFile[], removed: readonly FileKey[], at: string): Promise<void> {
    return this.#contents.write(fetched, removed, at);
  }

  /** Whether tables are to be dropped from the files that they were moved from: once they are complete where they are now. */
  get #hasLeftovers(): boolean {
    return (this.state.leftovers?.length ?? 0) > 0 && this.state.closureOpen !== true;
  }

  async saveUnchanged(
    log: readonly SyncLogRow[],
  ): Promise<{ database: DatabaseReport; state: State } | undefined> {
    const { isSplit, opened, changed, defaultName } = this.#files;
    const { databaseEtag: etag } = this.state;
    if (etag === undefined || changed.size > 0 || (isSplit && this.#hasLeftovers)) return undefined;
    if (!isSplit && (await this.#files.get(defaultName)).open.etag !== etag) return undefined;
    const state = withPendingLog(this.state, log);
    await this.#save({ state, etag: this.#options.loaded.etag });
    for (const { open } of opened) open.keep();
    return { database: unchangedReport(state), state };
  }

  async commit({
    log = [],
    outcome,
    files,
  }: CommitContents): Promise<{ database: DatabaseReport; state: State }> {
    const onStored = () => {
      this.isCommitted = true;
    };
    const { database, state: stored }: Committed = await commitFiles(this.#files, {
      ...{ log, outcome, at: this.#options.at, synced: this.#options.synced },
      ...{ stored: this.#toStore(), dangling: this.#dangling, dropsLeftovers: this.#hasLeftovers, onStored },
    });
    const state: State = { ...stored, files: files ? comparedFiles(files, stored) : this.state.files };
    await this.#save({ state, etag: this.#options.loaded.etag });
    return { database, state };
  }
}
