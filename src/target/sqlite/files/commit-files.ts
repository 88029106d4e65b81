import type { Table } from '../../../schema/table.ts';
import {
  type DatabaseReport,
  type DatabaseState,
  type State,
  type SyncLogRow,
  type TableState,
  unchangedReport,
  withPendingLog,
} from '../../state.ts';
import { combinedEtag } from './databases.ts';
import { addReports, type OpenFile, type OpenFiles } from './open-files.ts';
import { splitOutcome } from './outcomes.ts';

export interface CommitOptions {
  log: readonly SyncLogRow[];
  outcome: unknown;
  /** The instant of the merge: ISO 8601, UTC. */
  at: string;
  /** All tables of the run. */
  synced: readonly Table[];
  /** The files that were changed. */
  stored: readonly OpenFile[];
  /** Counts of dangling references by file. */
  dangling: ReadonlyMap<string, number>;
  /** Whether tables that were moved are dropped where they were. */
  dropsLeftovers: boolean;
  /** Is called once a file is stored. */
  onStored: () => void;
}

export interface Committed {
  database: DatabaseReport;
  state: State;
}

/** Stores the files that were changed, one after the other. The caller saves the state then. */
export async function commitFiles(files: OpenFiles, options: CommitOptions): Promise<Committed> {
  return files.isSplit ? commitSeveral(files, options) : commitOne(files, options);
}

async function store({ open, work }: OpenFile): Promise<DatabaseReport> {
  if (open.isSmall) await work.check();
  return open.store();
}

async function commitOne(
  { state }: OpenFiles,
  { log, outcome, stored, onStored }: CommitOptions,
): Promise<Committed> {
  const [file] = stored as [OpenFile];
  await file.work.finish(state, log, outcome);
  const database = await store(file);
  onStored();
  const { etag: databaseEtag, bytes: databaseBytes } = database;
  return { database, state: { ...state, pendingLog: [], databaseEtag, databaseBytes } };
}

async function commitSeveral(files: OpenFiles, options: CommitOptions): Promise<Committed> {
  const { log, outcome, at, stored, dangling, onStored } = options;
  const { state, defaultName } = files;
  const databases = databasesOf(files);
  const reports: DatabaseReport[] = [];
  const keep = async (file: OpenFile): Promise<void> => {
    const report = await store(file);
    onStored();
    reports.push(report);
    const { etag, bytes } = report;
    databases.set(file.name, {
      etag,
      bytes,
      dangling: dangling.get(file.name) ?? databases.get(file.name)?.dangling,
    });
  };
  const changed = stored.map(({ name }) => name);
  const names = [...new Set([...databases.keys(), ...changed])].sort();
  const isOf = logPlaces(files, options);
  const value = outcome === undefined ? undefined : splitOutcome(changed, at, outcome);
  for (const file of stored) {
    const own = {
      ...files.stateOf(file.name),
      pendingLog: state.pendingLog.filter((row) => isOf(row, file.name)),
    };
    await file.work.finish(
      own,
      log.filter((row) => isOf(row, file.name)),
      value,
      names,
    );
    await keep(file);
  }
  // A table is dropped only once the file that it was moved to is stored: after a crash in between, both have it.
  const { leftovers = [] } = state;
  const dropped = options.dropsLeftovers ? leftovers : [];
  for (const [name, tables] of Map.groupBy(dropped, (table) => files.nameOf(table))) {
    const file = await files.get(name);
    await files.reopen(file);
    for (const table of tables) await dropLeftover(files, file, table);
    const own = { ...files.stateOf(name), pendingLog: [] };
    await file.work.finish(own, [], undefined, names);
    await keep(file);
  }
  for (const { name, open } of files.opened) if (!changed.includes(name)) open.keep();
  const isWaiting = (row: SyncLogRow) => !changed.some((name) => isOf(row, name));
  const all = Object.fromEntries([...databases].sort(([a], [b]) => (a < b ? -1 : 1)));
  const etag = combinedEtag(new Map([...databases].map(([name, one]) => [name, one.etag])), defaultName);
  const bytes = [...databases.values()].reduce((sum, one) => sum + one.bytes, 0);
  const left = leftovers.filter((table) => !dropped.includes(table));
  return {
    database: {
      ...unchangedReport({ ...state, databaseEtag: etag, databaseBytes: bytes }),
      ...addReports(reports),
    },
    state: {
      ...withPendingLog({ ...state, pendingLog: state.pendingLog.filter(isWaiting) }, log.filter(isWaiting)),
      databaseEtag: etag,
      databaseBytes: bytes,
      databases: all,
      leftovers: left.length > 0 ? left : undefined,
    },
  };
}

function databasesOf({ state, defaultName }: OpenFiles): Map<string, DatabaseState> {
  if (state.databases !== undefined) return new Map(Object.entries(state.databases));
  if (state.databaseEtag === undefined) return new Map();
  return new Map([[defaultName, { etag: state.databaseEtag, bytes: state.databaseBytes ?? 0 }]]);
}

/** Where the log rows of tables belong: those about a table in its file, others in each file. */
function logPlaces(files: OpenFiles, { synced }: CommitOptions): (row: SyncLogRow, file: string) => boolean {
  const places = new Map(synced.map((table) => [table.logicalName, files.nameOf(table)]));
  for (const [name, { table }] of Object.entries(files.state.entities)) places.set(name, files.nameOf(table));
  return ({ name }, file) => (places.get(name) ?? file) === file;
}

async function dropLeftover(files: OpenFiles, { name, work }: OpenFile, table: Table): Promise<void> {
  const state = files.stateOf(name);
  const left = { ...files.state.entities[table.logicalName], table } as TableState;
  const entities = { ...state.entities, [table.logicalName]: left };
  const others = await work.dropTable({ ...state, entities }, table.logicalName, { keepsHistory: true });
  Object.assign(files.state.entities, others);
}
