import { join } from 'node:path';
import type { DataverseClient, Page, PageQuery } from '../../../dataverse/client.ts';
import { ChangeTrackingError, deltaTokenVersion } from '../../../dataverse/read/change-tracking.ts';
import { type Column, entitySetOf, type Table } from '../../../schema/table.ts';
import { needsAnnotations } from '../../../schema/table-from-csdl.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import { pageSizeFor } from '../../../sync/fetch/slice-queries.ts';
import { historyName } from '../../../target/common/mirror-table.ts';
import type { TableState } from '../../../target/state.ts';
import { changeTimeOf, type SyncPoint, syncPointOf } from './changed-since.ts';
import { type ColumnKinds, readColumnKinds } from './column-kinds.ts';
import { writePageFile } from './page-file.ts';
import { type DifferentRow, type Suspect, TableRows } from './table-rows.ts';

/** What the comparison of a table found. */
export interface TableComparison {
  /** Logical name. */
  table: string;
  /** Rows in the mirror; those marked as deleted do not count. */
  rows: number;
  /** Rows that Dataverse has; of a filtered table those that the mirror has or needs. */
  dataverseRows: number;
  /** Rows of Dataverse that the mirror lacks. */
  missing: number;
  /** Rows of the mirror that Dataverse does not have. */
  gone: number;
  /** Rows with other values. */
  different: number;
  /** Rows that were changed, created or deleted after the last sync read the table. */
  changedSince: number;
  /**
   * Rows with other values only in columns that change without a new version of their row: in calculated ones, and in
   * secured ones that are empty on one side.
   */
  computed: number;
  /** Rows that are missing or have another version, of which nothing tells whether they were changed after the sync. */
  undated: number;
  /** Rows with other values in the version of the mirror, while the definitions that name computed columns cannot be read. */
  unexplained: number;
  /** Why the definitions cannot be read. */
  withoutDefinitions?: string;
  /** Rows of a filtered table that no row refers to: large mirrors keep them. Absent for other tables. */
  unneeded?: number;
  /** Rows whose current version in the history table is another one; absent without a history. */
  history?: number;
  /** Some of the rows that differ, and ids of some that are missing or gone. */
  examples: { different: DifferentRow[]; missing: string[]; gone: string[]; undated: string[] };
}

export interface ComparisonServices {
  dataverse: DataverseClient;
  sqlite: Sqlite;
  /** A folder for the page that is being compared. */
  folder: string;
  /** The file of a table. */
  pathOf: (table: Table) => string;
  pageSize: number;
  /** How long a row may stay invisible after its `modifiedon`. */
  overlapSeconds: number;
  /** Only keys and versions. */
  keysOnly: boolean;
}

/** Examples of each kind. */
const maxExamples = 10;
/** Ids whose rows are read at once. */
const batchSize = 5000;

/** Compares all rows of a table of the mirror with those of Dataverse. @throws the errors of requests */
export async function compareTable(
  services: ComparisonServices,
  state: TableState,
  states: readonly TableState[],
): Promise<TableComparison> {
  return new Comparison(services, state, states).run();
}

class Comparison {
  readonly #services: ComparisonServices;
  readonly #state: TableState;
  readonly #table: Table;
  /** Those that are compared. */
  readonly #columns: Column[];
  /** Those that are read for a judgement: it needs `modifiedon`. */
  readonly #judged: Column[];
  readonly #rows: TableRows;
  readonly #states: readonly TableState[];
  readonly #file: string;
  readonly #result: TableComparison;
  #columnKinds: ColumnKinds | undefined;

  constructor(services: ComparisonServices, state: TableState, states: readonly TableState[]) {
    const { table } = state;
    this.#services = services;
    this.#state = state;
    this.#states = states;
    this.#table = table;
    const isCompared = ({ name }: Column) =>
      !services.keysOnly || name === table.primaryKey || name === table.versionColumn;
    const columns = table.columns.filter(({ property }) => property !== undefined);
    this.#columns = columns.filter(isCompared);
    this.#judged = columns.filter((column) => isCompared(column) || column.name === table.modifiedOnColumn);
    const values = this.#columns.filter(({ name }) => name !== table.primaryKey);
    this.#rows = new TableRows(services.pathOf(table), table, values);
    this.#file = join(services.folder, `${table.logicalName}.db`);
    this.#result = {
      ...{ table: table.logicalName, rows: 0, dataverseRows: 0, missing: 0, gone: 0, different: 0 },
      ...{ changedSince: 0, computed: 0, undated: 0, unexplained: 0 },
      examples: { different: [], missing: [], gone: [], undated: [] },
    };
  }

  async run(): Promise<TableComparison> {
    const result = this.#result;
    const rows = this.#rows;
    try {
      result.rows = rows.count();
      if (this.#state.strategy === 'filtered') await this.#compareReferenced();
      else await this.#compareAll();
      rows.addUnseen();
      if (rows.suspectCount() > 0) await this.#judge(await this.#acquit());
      if (this.#state.history === true) result.history = rows.differingHistory(historyName(this.#table));
      return result;
    } finally {
      rows.close();
    }
  }

  async #compareAll(): Promise<void> {
    for await (const page of this.#services.dataverse.readPages(this.#query())) this.#compare(page);
  }

  /** The rows of a filtered table that the mirror has, and those that its other rows refer to. */
  async #compareReferenced(): Promise<void> {
    for (const ids of this.#rows.ids(batchSize)) await this.#readById(ids, (page) => this.#compare(page));
    const referrers = this.#states.map(({ table }) => ({ table, path: this.#services.pathOf(table) }));
    this.#rows.collectReferences(referrers);
    for (const ids of this.#rows.missingReferences(batchSize)) {
      await this.#readById(ids, (page) => this.#compare(page));
    }
    this.#result.unneeded = this.#rows.unneededCount();
  }

  #compare(page: Page): void {
    this.#write(page);
    this.#result.dataverseRows += this.#rows.comparePage(this.#file);
  }

  #write(page: Page, columns = this.#columns): void {
    const { sqlite } = this.#services;
    writePageFile(sqlite, this.#file, page, { table: this.#table, columns });
  }

  /** Takes rows from the suspects that Dataverse names as changed since the sync. @returns when the table was read */
  async #acquit(): Promise<SyncPoint> {
    const point = syncPointOf(this.#state, this.#services.overlapSeconds);
    const { deltaLink: link, strategy } = this.#state;
    if (strategy !== 'delta' || link === undefined) return point;
    let { version, isExact } = point;
    try {
      for await (const page of this.#services.dataverse.readPages({ ...this.#query(), link })) {
        this.#write(page);
        this.#result.changedSince += this.#rows.acquit(this.#file);
        const reached = page.deltaLink === undefined ? undefined : deltaTokenVersion(page.deltaLink);
        if (reached !== undefined) [version, isExact] = [reached, true];
      }
    } catch (error) {
      // The changes are not known any more. Versions tell almost as much.
      if (!(error instanceof ChangeTrackingError)) throw error;
      return point;
    }
    return { ...point, version, isExact };
  }

  /** Reads the suspects again: a row can have changed while the table was read. */
  async #judge(point: SyncPoint): Promise<void> {
    const result = this.#result;
    for (const batch of this.#rows.suspects(batchSize)) {
      const found = new Set<string>();
      const ids = batch.map(({ id }) => id);
      for await (const page of this.#pagesById(ids, this.#judged)) {
        this.#write(page, this.#judged);
        const judged = this.#rows.judgePage(this.#file);
        for (const id of judged.ids) found.add(id);
        await this.#judgeRows(judged.suspects, point);
      }
      for (const { id, kind } of batch) {
        if (found.has(id)) continue;
        // Dataverse had the others a moment ago.
        if (kind !== 'gone') result.changedSince += 1;
        else this.#countGone(id);
      }
    }
  }

  async #judgeRows(suspects: readonly Suspect[], point: SyncPoint): Promise<void> {
    const rows = suspects.map((suspect) => ({ ...suspect, time: changeTimeOf(suspect, point) }));
    const isOfVersion = ({ version, mirrorVersion, time }: (typeof rows)[number]) =>
      time !== 'later' && (mirrorVersion === version || this.#table.versionColumn === undefined);
    const mayBeComputed = rows.filter((row) => row.kind === 'different' && isOfVersion(row));
    const kinds = mayBeComputed.length === 0 ? undefined : await this.#kinds();
    const kindOf = kinds?.kindOf;
    const computed = kindOf === undefined ? new Set() : this.#rows.computedRows(this.#file, kindOf);
    const unexplained = new Set(kinds !== undefined && kindOf === undefined ? mayBeComputed : []);
    for (const row of rows) {
      if (row.time === 'later') this.#result.changedSince += 1;
      else if (row.kind === 'different' && computed.has(row.id)) this.#result.computed += 1;
      else if (unexplained.has(row)) this.#countDifferent(row.id, 'unexplained');
      else if (row.time === 'unknown') this.#countUndated(row.id);
      else if (row.kind === 'missing') this.#countMissing(row.id);
      else this.#countDifferent(row.id, 'different');
    }
  }

  /** Which columns are computed: asked once, and only if a row may differ in them. Keys and versions are not. */
  async #kinds(): Promise<ColumnKinds | undefined> {
    if (this.#services.keysOnly) return undefined;
    this.#columnKinds ??= await readColumnKinds(this.#services.dataverse, this.#table.logicalName);
    this.#result.withoutDefinitions = this.#columnKinds.error;
    return this.#columnKinds;
  }

  #countGone(id: string): void {
    this.#result.gone += 1;
    addExample(this.#result.examples.gone, id);
  }

  #countMissing(id: string): void {
    this.#result.missing += 1;
    addExample(this.#result.examples.missing, id);
  }

  #countUndated(id: string): void {
    this.#result.undated += 1;
    addExample(this.#result.examples.undated, id);
  }

  #countDifferent(id: string, kind: 'different' | 'unexplained'): void {
    const { different } = this.#result.examples;
    this.#result[kind] += 1;
    if (different.length < maxExamples) {
      different.push({ id, columns: this.#rows.differencesOf(this.#file, id) });
    }
  }

  async #readById(ids: readonly string[], use: (page: Page) => void): Promise<void> {
    for await (const page of this.#pagesById(ids, this.#columns)) use(page);
  }

  #pagesById(ids: readonly string[], columns: readonly Column[]): AsyncIterable<Page> {
    const { entitySet, select, annotations, pageSize } = this.#query(columns);
    const { primaryKey } = this.#table;
    const omit = this.#state.refusedOptions?.options;
    const query = { entitySet, select, annotations, pageSize, primaryKey, ids, omit };
    return this.#services.dataverse.readByIds(query);
  }

  #query(columns: readonly Column[] = this.#columns): PageQuery {
    const { rowBytes, refusedOptions } = this.#state;
    // Annotations cannot be selected.
    const select = columns.flatMap(({ property }) =>
      property === undefined || property.includes('@') ? [] : property,
    );
    return {
      entitySet: entitySetOf(this.#table),
      select: refusedOptions?.options.includes('columns') ? undefined : select,
      annotations: this.#services.keysOnly ? undefined : needsAnnotations(this.#table),
      pageSize: pageSizeFor({ columns }, this.#services.pageSize, rowBytes),
      release: true,
    };
  }
}

function addExample(examples: string[], id: string): void {
  if (examples.length < maxExamples) examples.push(id);
}
