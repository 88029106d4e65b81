import type { Page } from '../../dataverse/client.ts';
import { parseTombstone } from '../../dataverse/read/change-tracking.ts';
import type { Column, Table } from '../../schema/table.ts';
import type { RecordWriter } from '../../sqlite/record-writer.ts';
import { emptyDigest } from '../../sqlite/row-digest.ts';
import { Shard } from '../../sqlite/shard.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { Slice } from '../documents/slice.ts';
import { ColumnCheck } from './check-columns.ts';
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
  readonly #check: ColumnCheck;
  #rowsWriter: RecordWriter | undefined;
  #keysWriter: RecordWriter | undefined;
  #rowBytes = 0;

  constructor(sqlite: Sqlite, table: Table, plan: TablePlan) {
    this.shard = Shard.create(sqlite);
    this.#table = table;
    this.#plan = plan;
    this.#check = new ColumnCheck(table.columns, { reportsUnknown: plan.config.columns === undefined });
  }

  /** Rows written so far. */
  get rowsRead(): number {
    return this.#rowsWriter?.rows ?? 0;
  }

  /** Writes whole rows. The first page shows how the rows spell their columns. */
  writeRows(page: Page): void {
    const spellings = this.#check.see(page, { areRenamed: this.#rowsWriter === undefined });
    this.#rowsWriter ??= this.#createRowsWriter(spellings);
    this.#rowsWriter.write(page.body, page.recordsStart, page.recordsEnd);
    this.#rowBytes += page.recordsEnd - page.recordsStart;
  }

  /** Writes rows of which a comparison read these columns, the key among them, with their versions. */
  writeKeys(page: Page, compared: readonly Column[]): void {
    if (this.#keysWriter === undefined) {
      const check = new ColumnCheck(compared, { reportsUnknown: false });
      this.#keysWriter = this.shard.recordWriter('keys', {
        columns: asSpelled(compared, check.see(page, { areRenamed: true })),
        primaryKey: this.#table.primaryKey,
        version: rowVersion,
      });
    }
    this.#keysWriter.write(page.body, page.recordsStart, page.recordsEnd);
  }

  /** What is wrong with the columns of the rows, as sentences. */
  findings(): string[] {
    return this.#check.findings(this.#table.logicalName);
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
    this.#rowsWriter ??= this.#createRowsWriter(new Map());
    return this.#rowsWriter;
  }

  /** @param spellings columns that the rows spell otherwise than the metadata */
  #createRowsWriter(spellings: ReadonlyMap<string, string>): RecordWriter {
    const table = this.#table;
    const plan = this.#plan;
    return this.shard.recordWriter('rows', {
      columns: asSpelled(table.columns, spellings),
      primaryKey: table.primaryKey,
      version: rowVersion,
      keyless: parseTombstone,
      rawJson: plan.config.rawJson ? '_json' : undefined,
      maxOf: table.modifiedOnColumn,
      digestValues: plan.strategy !== 'delta' && plan.strategy !== 'filtered',
    });
  }
}

/** The columns that Dataverse has, with the properties as its rows spell them. */
function asSpelled(columns: readonly Column[], spellings: ReadonlyMap<string, string>): Column[] {
  return columns.flatMap((column) => {
    const { property } = column;
    return property === undefined ? [] : { ...column, property: spellings.get(property) ?? property };
  });
}
