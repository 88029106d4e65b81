import { join } from 'node:path';
import type { DataverseClient, Page, PageQuery } from '../../../dataverse/client.ts';
import { ChangeTrackingError, deltaTokenVersion } from '../../../dataverse/read/change-tracking.ts';
import { type Column, entitySetOf, type Table } from '../../../schema/table.ts';
import { needsAnnotations } from '../../../schema/table-from-csdl.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import { pageSizeFor } from '../../../sync/fetch/slice-queries.ts';
import { historyName } from '../../../target/sqlite/rows/history.ts';
import type { TableState } from '../../../target/state.ts';
import { isChangedSince, type SyncPoint, syncPointOf } from './changed-since.ts';
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
  /** Rows with other values only in columns that change without a new version of their row. */
  computed: number;
  /** Rows of a filtered table that no row refers to: large mirrors keep them. Absent for other tables. */
  unneeded?: number;
  /** Rows whose current version in the history table is another one; absent without a history. */
  history?: number;
  /** Some of the rows that differ, and ids of some that are missing or gone. */
  examples: { different: DifferentRow[]; missing: string[]; gone: string[] };
}

export interface ComparisonServices {
  dataverse: DataverseClient;
  sqlite: Sqlite;
  /** A folder for the page that is being compared. */
  folder: string;
  /** The file of a table. */
  pathOf: (table: Table) => string;
  pageSize: number;
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
  readonly #columns: Column[];
  readonly #rows: TableRows;
  readonly #states: readonly TableState[];
  readonly #file: string;
  readonly #result: TableComparison;

  constructor(services: ComparisonServices, state: TableState, states: readonly TableState[]) {
    const { table } = state;
    this.#services = services;
    this.#state = state;
    this.#states = states;
    this.#table = table;
    const isCompared = ({ name }: Column) =>
      !services.keysOnly || name === table.primaryKey || name === table.versionColumn;
    this.#columns = table.columns.filter((column) => column.property !== undefined && isCompared(column));
    const values = this.#columns.filter(({ name }) => name !== table.primaryKey);
    this.#rows = new TableRows(services.pathOf(table), table, values);
    this.#file = join(services.folder, `${table.logicalName}.db`);
    this.#result = {
      ...{ table: table.logicalName, rows: 0, dataverseRows: 0, missing: 0, gone: 0, different: 0 },
      ...{ changedSince: 0, computed: 0, examples: { different: [], missing: [], gone: [] } },
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

  #write(page: Page): void {
    const { sqlite } = this.#services;
    writePageFile(sqlite, this.#file, page, { table: this.#table, columns: this.#columns });
  }

  /** Takes rows from the suspects that Dataverse names as changed since the sync. @returns when the table was read */
  async #acquit(): Promise<SyncPoint> {
    const point = syncPointOf(this.#state, this.#states, this.#rows.greatestVersion());
    const { deltaLink: link, strategy } = this.#state;
    if (strategy !== 'delta' || link === undefined) return point;
    let { version } = point;
    try {
      for await (const page of this.#services.dataverse.readPages({ ...this.#query(), link })) {
        this.#write(page);
        this.#result.changedSince += this.#rows.acquit(this.#file);
        if (page.deltaLink !== undefined) version = deltaTokenVersion(page.deltaLink) ?? version;
      }
    } catch (error) {
      // The changes are not known any more. Versions tell almost as much.
      if (!(error instanceof ChangeTrackingError)) throw error;
      return point;
    }
    return { version, watermark: undefined };
  }

  /** Reads the suspects again: a row can have changed while the table was read. */
  async #judge(point: SyncPoint): Promise<void> {
    const { examples } = this.#result;
    for (const batch of this.#rows.suspects(batchSize)) {
      const found = new Set<string>();
      await this.#readById(
        batch.map(({ id }) => id),
        (page) => {
          this.#write(page);
          const { ids, suspects } = this.#rows.judgePage(this.#file);
          for (const id of ids) found.add(id);
          for (const suspect of suspects) this.#count(suspect, point);
        },
      );
      for (const { id, kind } of batch) {
        if (found.has(id)) continue;
        if (kind === 'missing') continue;
        this.#result.gone += 1;
        if (examples.gone.length < maxExamples) examples.gone.push(id);
      }
    }
  }

  #count(suspect: Suspect, point: SyncPoint): void {
    const { examples } = this.#result;
    const { id, kind } = suspect;
    if (isChangedSince(suspect, point)) {
      this.#result.changedSince += 1;
      return;
    }
    if (kind === 'missing') {
      this.#result.missing += 1;
      if (examples.missing.length < maxExamples) examples.missing.push(id);
      return;
    }
    const needsColumns = examples.different.length < maxExamples || this.#hasUnversioned;
    const columns = needsColumns ? this.#rows.differencesOf(this.#file, id) : [];
    const isComputed = columns.length > 0 && columns.every(({ column }) => this.#unversioned.has(column));
    if (isComputed) {
      this.#result.computed += 1;
      return;
    }
    this.#result.different += 1;
    if (examples.different.length < maxExamples) examples.different.push({ id, columns });
  }

  get #unversioned(): Set<string> {
    return new Set(this.#columns.flatMap(({ name, unversioned }) => (unversioned ? [name] : [])));
  }

  get #hasUnversioned(): boolean {
    return this.#columns.some(({ unversioned }) => unversioned === true);
  }

  async #readById(ids: readonly string[], use: (page: Page) => void): Promise<void> {
    const { entitySet, select, annotations, pageSize } = this.#query();
    const { primaryKey } = this.#table;
    const omit = this.#state.refusedOptions?.options;
    const query = { entitySet, select, annotations, pageSize, primaryKey, ids, omit };
    for await (const page of this.#services.dataverse.readByIds(query)) use(page);
  }

  #query(): PageQuery {
    const { rowBytes, refusedOptions } = this.#state;
    // Annotations cannot be selected.
    const select = this.#columns.flatMap(({ property }) =>
      property === undefined || property.includes('@') ? [] : property,
    );
    return {
      entitySet: entitySetOf(this.#table),
      select: refusedOptions?.options.includes('columns') ? undefined : select,
      annotations: this.#services.keysOnly ? undefined : needsAnnotations(this.#table),
      pageSize: pageSizeFor({ columns: this.#columns }, this.#services.pageSize, rowBytes),
      release: true,
    };
  }
}
