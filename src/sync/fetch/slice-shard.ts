import type { Page } from '../../dataverse/client.ts';
import { parseTombstone } from '../../dataverse/read/change-tracking.ts';
import type { Column, Table } from '../../schema/table.ts';
import type { RecordWriter } from '../../sqlite/record-writer.ts';
import { emptyDigest } from '../../sqlite/row-digest.ts';
import { Shard } from '../../sqlite/shard.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { Slice } from '../documents/slice.ts';
import { columnFindings } from './check-columns.ts';
import { rowVersion } from './row-version.ts';

/** What a shard says about the slice that it belongs to. */
type ShardFigures = Pick<
  Slice,
  'rowsRead' | 'deleted' | 'keys' | 'digest' | 'keysDigest' | 'valuesDigest' | 'rowBytes' | 'maxModifiedOn'
>;

/** Writes what a slice reads into its shard. */
export class SliceShard {
  readonly shard: Shard;
  readonly #table: Table;
  readonly #plan: TablePlan;
  #rowsWriter: RecordWriter | undefined;
  #keysWriter: RecordWriter | undefined;
  #rowBytes = 0;

  constructor(sqlite: Sqlite, table: Table, plan: TablePlan) {
    this.shard = Shard.create(sqlite);
    this.#table = table;
    this.#plan = plan;
  }

  /** Rows written so far. */
  get rowsRead(): number {
    return this.#rowsWriter?.rows ?? 0;
  }

  /** Writes whole rows. */
  writeRows(page: Page): void {
    this.prepareRows().write(page.body, page.recordsStart, page.recordsEnd);
    this.#rowBytes += page.recordsEnd - page.recordsStart;
  }

  /** Writes rows of which a comparison read these columns, the key among them, with their versions. */
  writeKeys(page: Page, compared: readonly Column[]): void {
    this.#keysWriter ??= this.shard.recordWriter('keys', {
      columns: ofDataverse(compared),
      primaryKey: this.#table.primaryKey,
      version: rowVersion,
      anyCase: true,
    });
    this.#keysWriter.write(page.body, page.recordsStart, page.recordsEnd);
  }

  /** What is wrong with the columns of the rows, as sentences. */
  findings(): string[] {
    const { logicalName, columns } = this.#table;
    const reportsUnknown = this.#plan.config.columns === undefined;
    return columnFindings(logicalName, columns, this.prepareRows(), { reportsUnknown });
  }

  /** The figures of the shard. Nothing can be written after this. */
  finish(): ShardFigures {
    const rows = this.prepareRows();
    rows.finish();
    return {
      rowsRead: rows.rows,
      deleted: this.shard.deletedCount,
      keys: this.#keysWriter?.rows ?? 0,
      digest: rows.digest,
      keysDigest: this.#keysWriter?.digest ?? emptyDigest(),
      valuesDigest: rows.valuesDigest,
      rowBytes: this.#rowBytes,
      maxModifiedOn: rows.max,
    };
  }

  /** Creates the table of rows if there is none: every shard has one, also without rows. */
  prepareRows(): RecordWriter {
    this.#rowsWriter ??= this.#createRowsWriter();
    return this.#rowsWriter;
  }

  #createRowsWriter(): RecordWriter {
    const table = this.#table;
    const plan = this.#plan;
    return this.shard.recordWriter('rows', {
      columns: ofDataverse(table.columns),
      primaryKey: table.primaryKey,
      version: rowVersion,
      anyCase: true,
      keyless: parseTombstone,
      rawJson: plan.config.rawJson ? '_json' : undefined,
      maxOf: table.modifiedOnColumn,
      digestValues: plan.strategy !== 'delta' && plan.strategy !== 'filtered',
    });
  }
}

/** Without the columns that the configuration adds. */
function ofDataverse(columns: readonly Column[]): Column[] {
  return columns.filter(({ property }) => property !== undefined);
}
