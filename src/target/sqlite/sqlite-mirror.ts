import type { TableConfig } from '../../config/entities.ts';
import type { SkipTableError } from '../../errors.ts';
import type { SchemaChange } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { ChangePoint, MirrorNews, RowsPage, RowsRequest, TableNews } from '../changes.ts';
import { referableTables } from '../common/referable-tables.ts';
import { storableTables } from '../common/storable-tables.ts';
import type { CheckOptions, CheckProgress, CheckStep } from '../mirror-check.ts';
import type { MirrorContents } from '../mirror-contents.ts';
import type {
  DanglingReport,
  MirrorTarget,
  MirrorTransaction,
  ReceivedMirror,
  TransactionOptions,
} from '../mirror-target.ts';
import { emptyState, type LoadedState, type State, stateIn, tablesOf } from '../state.ts';
import { CheckedFiguresFile } from './check/checked-figures.ts';
import { FilesCheck } from './check/files-check.ts';
import type { OpenDatabase } from './database/open-database.ts';
import { combinedEtag, Databases, type DatabasesOptions } from './files/databases.ts';
import { OpenFiles } from './files/open-files.ts';
import { addEtags, ofTheseFiles, readStates } from './files/read-states.ts';
import { stateOfFile } from './files/state-of-file.ts';
import { migrationOf } from './migrations.ts';
import { mirrorExists, receivedTables, receiveMirror } from './receive-mirror.ts';
import { RecountSchedule } from './recount-schedule.ts';
import { sqliteEngine } from './sqlite-engine.ts';
import { SqliteTransaction } from './sqlite-transaction.ts';
import { StateFile } from './state-file.ts';

/** Of a database that is larger than its cache so many times, every part would be read many times. */
const readCaches = 8;

/** `maxBytes` is the limit of each file, and `cacheBytes` the memory for all of them. */
export interface SqliteMirrorOptions extends DatabasesOptions {
  /** Where `state.json` is. */
  documents: DocumentStore;
  /** How often figures about large tables are counted again; 0: never. */
  checkHours: number;
  telemetry: Telemetry;
}

/**
 * The mirror as SQLite files: one, and others that entities.json names. The state in the databases decides. `state.json`
 * caches it, so that a run in which nothing changed moves no byte of a database.
 */
export class SqliteMirror implements MirrorTarget {
  readonly #stateFile: StateFile;
  readonly #databases: Databases;
  readonly #recounts: RecountSchedule;
  readonly #documents: DocumentStore;
  readonly #check: FilesCheck;
  readonly #telemetry: Telemetry;
  /** The names of files that exist although no state told of them. */
  readonly #others = new Set<string>();

  constructor(options: SqliteMirrorOptions) {
    const { documents, checkHours, telemetry } = options;
    this.#stateFile = new StateFile(documents);
    this.#databases = new Databases(options);
    this.#recounts = new RecountSchedule(documents, checkHours);
    this.#documents = documents;
    this.#check = new FilesCheck(options, this.#databases);
    this.#telemetry = telemetry;
  }

  /** Gives the memory of the databases back. */
  close(): Promise<void> {
    return this.#databases.close();
  }

  /** With one HEAD request. */
  async ask(): Promise<void> {
    const { defaultName } = this.#databases;
    await this.#databases.file(defaultName).currentEtag();
  }

  storableTables(
    tables: readonly Table[],
    configs: ReadonlyMap<string, TableConfig>,
    state: State,
  ): { tables: Table[]; rejected: Map<string, SkipTableError> } {
    return storableTables(tables, configs, state, sqliteEngine);
  }

  schemaChanges(state: State, table: Table, synced: readonly Table[]): SchemaChange[] {
    const own = stateOfFile(state, synced, table.database);
    const beside = synced.filter(({ database }) => database === table.database);
    return migrationOf(stateIn(state, table)?.table, table, referableTables(beside, own), tablesOf(own))
      .changes;
  }

  /** After a restore of a database, or a crash between its commit and that of `state.json`, the database decides. */
  async loadState(): Promise<LoadedState> {
    const { defaultName } = this.#databases;
    const [saved, defaultEtag] = await Promise.all([
      this.#stateFile.read(),
      this.#databases.file(defaultName).currentEtag(),
    ]);
    const { etag } = saved ?? {};
    const described = ofTheseFiles(saved?.state, defaultName);
    const etags = new Map(defaultEtag === undefined ? [] : [[defaultName, defaultEtag]]);
    const names = [...Object.keys(described?.databases ?? {}), ...this.#others];
    await addEtags(this.#databases, etags, names);
    if (described !== undefined && described.databaseEtag === combinedEtag(etags, defaultName))
      return { state: described, etag };
    if (etags.size === 0) return { state: emptyState(), etag };
    this.#telemetry.log(
      'warn',
      'state.json is damaged or describes another database; the state is read from the database.',
    );
    return { state: await readStates(this.#databases, described, etags), etag };
  }

  async receive(
    contents: MirrorContents,
    configs: ReadonlyMap<string, TableConfig>,
  ): Promise<ReceivedMirror> {
    const loaded = await this.loadState();
    const tables = receivedTables(contents.state, configs);
    const names = [...tables.values()].map(({ table }) => this.#databases.nameOf(table));
    for (const name of new Set([this.#databases.defaultName, ...names])) {
      if ((await this.#databases.file(name).currentEtag()) !== undefined) throw mirrorExists(name);
    }
    const options = {
      ...{
        loaded,
        runId: 'move',
        at: new Date().toISOString(),
        incomingBytes: contents.state.databaseBytes ?? 0,
      },
      synced: [...tables.values()].map(({ table }) => table),
    };
    return this.transaction(options, async (mirror) => {
      const { entities: _, databases: __, files: ___, databaseEtag: ____, ...state } = contents.state;
      // The catalog has the tables as another target holds them. It is made anew, without a row being read.
      Object.assign(mirror.state, state, {
        metadataVersion: undefined,
        catalog: undefined,
        choices: undefined,
      });
      const reports = await receiveMirror(mirror as SqliteTransaction, contents, tables);
      const { labels } = contents;
      if (labels !== undefined) {
        await mirror.writeLabels(contents.state.choices, async () => labels);
        mirror.state.choices = contents.state.choices!;
      }
      const { database } = await mirror.commit({});
      return { tables: reports, bytes: database.bytes };
    });
  }

  async lastState(): Promise<State | undefined> {
    return (await this.#stateFile.read())?.state;
  }

  saveState(loaded: LoadedState): Promise<void> {
    return this.#stateFile.save(loaded);
  }

  async transaction<T>(
    options: TransactionOptions,
    work: (mirror: MirrorTransaction) => Promise<T>,
  ): Promise<T> {
    const putBack: (() => Promise<void>)[] = [];
    const isDeep = async (open: OpenDatabase, name: string): Promise<boolean> => {
      if (open.isSmall) return true;
      if (!options.recounts || open.length > readCaches * this.#databases.cacheBytes) return false;
      const recount = await this.#recounts.begin(options.at, this.#unlessDefault(name));
      if (recount !== undefined) putBack.push(recount);
      return recount !== undefined && open.etag !== undefined;
    };
    const files = await OpenFiles.begin({
      databases: this.#databases,
      transaction: options,
      isDeep,
      figures: (name) => this.#figuresOf(name).read(),
      noteOther: (name) => this.#others.add(name),
    });
    const transaction = new SqliteTransaction(files, options, (loaded) => this.saveState(loaded));
    let isDone = false;
    try {
      const result = await work(transaction);
      if (transaction.isCommitted) await this.#takeFigures(files, transaction);
      isDone = true;
      return result;
    } finally {
      await files.end(isDone);
      if (!transaction.isCommitted) for (const note of putBack) await note();
    }
  }

  #figuresOf(name: string): CheckedFiguresFile {
    return new CheckedFiguresFile(this.#documents, this.#unlessDefault(name));
  }

  #unlessDefault(name: string): string | undefined {
    return name === this.#databases.defaultName ? undefined : name;
  }

  /** Notes that the figures of a check are in the files that were stored. */
  async #takeFigures(files: OpenFiles, transaction: SqliteTransaction): Promise<void> {
    for (const { name, checked } of files.opened) {
      // A commit of contents of files, for example, counts nothing.
      if (checked === undefined || !transaction.hasCounted(name)) continue;
      await this.#figuresOf(name).taken(checked.figures, checked.etag, transaction.merged);
    }
  }

  async rowIds(table: Table): Promise<string[]> {
    // Nothing is committed.
    const loaded = await this.loadState();
    const options = { loaded, runId: '', at: new Date().toISOString(), synced: [], incomingBytes: 0 };
    return this.transaction(options, (mirror) => mirror.rowIds(table));
  }

  async findDangling(): Promise<DanglingReport | 'large' | undefined> {
    const { defaultName } = this.#databases;
    const names = await this.#names();
    const reports = new Map<string, DanglingReport>();
    // Also in a process that has not opened all of them yet.
    const cacheBytes = this.#databases.cacheBytesOf(names.length);
    for (const name of names) {
      const found = await this.#databases.file(name).open();
      if (typeof found !== 'string' && found.length > cacheBytes) return 'large';
    }
    for (const name of names) {
      const report = await this.#databases.get(name, names.length).read(async ({ work, etag }) => {
        const { databaseBytes: bytes = 0 } = await work.readState();
        return { database: { etag: etag!, bytes }, ...(await work.findDangling()) };
      });
      if (report !== undefined) reports.set(name, report);
    }
    const all = [...reports.values()];
    const etags = new Map([...reports].map(([name, { database }]) => [name, database.etag]));
    const etag = combinedEtag(etags, defaultName);
    if (etag === undefined) return undefined;
    return {
      database: { etag, bytes: all.reduce((sum, { database }) => sum + database.bytes, 0) },
      tables: all.reduce((sum, { tables }) => sum + tables, 0),
      foreignKeys: all.flatMap(({ foreignKeys }) => foreignKeys),
    };
  }

  /** The names of the files that exist, as far as the last state tells. */
  async #names(): Promise<string[]> {
    const { databases } = (this.#databases.hasNamed ? await this.lastState() : undefined) ?? {};
    return Object.keys(databases ?? { [this.#databases.defaultName]: true });
  }

  async newsSince(exported: Readonly<Record<string, ChangePoint>>): Promise<MirrorNews | undefined> {
    const { state } = await this.loadState();
    const { databaseEtag: etag } = state;
    if (etag === undefined) return undefined;
    const { defaultName } = this.#databases;
    const present = new Set(Object.keys(state.databases ?? { [defaultName]: true }));
    const count = present.size;
    const tables: TableNews[] = [];
    for (const [file, own] of Map.groupBy(tablesOf(state), (table) => this.#databases.nameOf(table))) {
      const points = Object.fromEntries(own.map(({ logicalName }) => [logicalName, exported[logicalName]]));
      const found = await this.#databases
        .get(file, count)
        .read((open) => open.work.newsSince(points, open.etag!));
      if (found === undefined) {
        present.delete(file);
        continue;
      }
      const { latest, news } = found;
      tables.push(...own.map((table) => ({ table, latest, news: news[table.logicalName]! })));
    }
    return { etag, tables, databases: [...present].map((name) => this.#unlessDefault(name)) };
  }

  async readRows(request: RowsRequest): Promise<RowsPage | undefined> {
    const names = await this.#names();
    const file = this.#databases.get(this.#databases.nameOf(request.table), names.length);
    return file.read(({ work }) => work.readRows(request));
  }

  async checkStep(before: CheckProgress | undefined, options: CheckOptions): Promise<CheckStep> {
    return this.#check.step(await this.#names(), before, options);
  }
}
