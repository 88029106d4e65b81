import type { Page } from '../../dataverse/client.ts';
import { parseTombstone } from '../../dataverse/read/change-tracking.ts';
import type { Column, Table } from '../../schema/table.ts';
import type { RecordWriter } from '../../sqlite/record-writer.ts';
import { emptyDigest } from '../../sqlite/row-digest.ts';
import { Shard } from '../../sqlite/shard.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { Slice } from '../documents/slice.ts';
import { greaterVersion } from '../strategies/delta-version.ts';
import { columnFindings } from './check-columns.ts';
import { rowVersion } from './row-version.ts';

/** What a shard says about the slice that it belongs to. */
type ShardFigures = Pick<
  Slice,
  | 'rowsRead'
  | 'deleted'
  | 'keys'
  | 'digest'
  | 'keysDigest'
  | 'valuesDigest'
  | 'rowBytes'
  | 'maxModifiedOn'
  | 'maxVersion'
>;

/** Reserved for the shard of a slice of one page, which is small in most runs. */
const onePageBytes = 2 * 1024 * 1024;

/** Writes what a slice reads into its shard, which exists once something was read: most pages of most runs are empty. */
export class SliceShard {
  #shard: Shard | undefined;
  readonly #sqlite: Sqlite;
  readonly #onePage: boolean;
  readonly #table: Table;
  readonly #plan: TablePlan;
  #rowsWriter: RecordWriter | undefined;
  #keysWriter: RecordWriter | undefined;
  #rowBytes = 0;

  constructor(sqlite: Sqlite, table: Table, plan: TablePlan, { onePage = false } = {}) {
    this.#sqlite = sqlite;
    this.#onePage = onePage;
    this.#table = table;
    this.#plan = plan;
  }

  get shard(): Shard {
    this.#shard ??= Shard.create(this.#sqlite, { capacity: this.#onePage ? onePageBytes : undefined });
    return this.#shard;
  }

  /** Whether nothing was read yet. */
  get isEmpty(): boolean {
    return this.#shard === undefined;
  }

  close(): void {
    this.#shard?.close();
  }

  /** Rows written so far. */
  get rowsRead(): number {
    return this.#rowsWriter?.rows ?? 0;
  }

  /** Writes whole rows. */
  writeRows(page: Page): void {
    if (page.recordsStart === page.recordsEnd) return;
    this.prepareRows().write(page.body, page.recordsStart, page.recordsEnd);
    this.#rowBytes += page.recordsEnd - page.recordsStart;
  }

  /** Writes rows of which a comparison read these columns, the key among them, with their versions. */
  writeKeys(page: Page, compared: readonly Column[]): void {
    if (page.recordsStart === page.recordsEnd) return;
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
    if (this.isEmpty) return [];
    const { logicalName, columns } = this.#table;
    const reportsUnknown = this.#plan.config.columns === undefined;
    return columnFindings(logicalName, columns, this.prepareRows(), { reportsUnknown });
  }

  /** The figures of the shard. Nothing can be written after this. */
  finish(): ShardFigures {
    if (this.isEmpty) return noFigures(this.#digestsValues);
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
      maxVersion: greaterVersion(rows.maxVersion, this.#keysWriter?.maxVersion),
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
      digestValues: this.#digestsValues,
    });
  }

  get #digestsValues(): boolean {
    const { strategy } = this.#plan;
    return strategy !== 'delta' && strategy !== 'filtered';
  }
}

/** The figures of a slice that read nothing. */
function noFigures(digestsValues: boolean): ShardFigures {
  const digest = emptyDigest();
  const values = digestsValues ? digest : undefined;
  return { rowsRead: 0, deleted: 0, keys: 0, digest, keysDigest: digest, valuesDigest: values, rowBytes: 0 };
}

/** Without the columns that the configuration adds. */
function ofDataverse(columns: readonly Column[]): Column[] {
  return columns.filter(({ property }) => property !== undefined);
}
