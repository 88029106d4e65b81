import * as zlib from 'node:zlib';
import type { ByteWriter, ParquetWriter, SchemaElement } from 'hyparquet-writer';
import type { Column } from '../schema/table.ts';
import type { ChangedRow } from '../target/changes.ts';
import { decimals, type ParquetType, type ParquetValue, parquetTypeOf, toParquet } from './parquet-types.ts';

/** What the rows of a file do, by the key: learn.microsoft.com, Open mirroring landing zone format. */
const markers = { delete: 2, upsert: 4 };
const markerColumn = '__rowMarker__';

/** Loaded when the first file is written: without the switch, nobody needs it. */
const loadWriter = () => import('hyparquet-writer');

// Half the size of Snappy's, in less time. It came with Node.js 22.15.
const compress = (zlib as { zstdCompressSync?: (bytes: Uint8Array) => Uint8Array }).zstdCompressSync;

const elements: Record<ParquetType, Partial<SchemaElement>> = {
  boolean: { type: 'BOOLEAN' },
  int32: { type: 'INT32' },
  int64: { type: 'INT64' },
  double: { type: 'DOUBLE' },
  decimal: {
    type: 'FIXED_LEN_BYTE_ARRAY',
    type_length: 16,
    converted_type: 'DECIMAL',
    ...decimals,
    logical_type: { type: 'DECIMAL', ...decimals },
  },
  date: { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } },
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  binary: { type: 'BYTE_ARRAY' },
};

/** One Parquet file of rows, in memory. Each call of `add` makes a row group. */
export class ParquetFile {
  /** Rows in the file. */
  rows = 0;
  /** Values that Parquet cannot have in the type of their column: they are NULL. By the name of the column. */
  readonly unstorable = new Map<string, number>();
  readonly #columns: readonly Column[];
  readonly #key: string;
  readonly #hasMarkers: boolean;
  readonly #bytes: ByteWriter;
  readonly #writer: ParquetWriter;

  private constructor(
    columns: readonly Column[],
    key: string,
    hasMarkers: boolean,
    bytes: ByteWriter,
    writer: ParquetWriter,
  ) {
    this.#columns = columns;
    this.#key = key;
    this.#hasMarkers = hasMarkers;
    this.#bytes = bytes;
    this.#writer = writer;
  }

  /**
   * @param columns in the order of the values of rows
   * @param options `key`: the key column. `hasMarkers`: the rows are upserts and deletes; without, all of them are inserted
   */
  static async open(
    columns: readonly Column[],
    { key, hasMarkers }: { key: string; hasMarkers: boolean },
  ): Promise<ParquetFile> {
    const { ByteWriter, ParquetWriter } = await loadWriter();
    const bytes = new ByteWriter(1 << 16);
    const schema: SchemaElement[] = [
      { name: 'root', num_children: columns.length + Number(hasMarkers) },
      ...columns.map(
        (column): SchemaElement => ({
          name: column.name,
          repetition_type: 'OPTIONAL',
          ...elements[parquetTypeOf(column)],
        }),
      ),
      ...(hasMarkers ? [{ name: markerColumn, repetition_type: 'REQUIRED', type: 'INT32' } as const] : []),
    ];
    const writer = new ParquetWriter({
      writer: bytes,
      schema,
      createdBy: 'dataverse-sqlite-sync',
      ...(compress === undefined
        ? { codec: 'SNAPPY' }
        : { codec: 'ZSTD', compressors: { ZSTD: (input) => compress(input) } }),
    });
    return new ParquetFile(columns, key, hasMarkers, bytes, writer);
  }

  /** Its size until now. */
  get byteLength(): number {
    return this.#bytes.offset;
  }

  add(rows: readonly ChangedRow[]): void {
    if (rows.length === 0) return;
    const columnData = this.#columns.map((column, index) => ({
      name: column.name,
      data: rows.map((row) => this.#valueOf(column, row, index)),
    }));
    if (this.#hasMarkers) {
      const data = rows.map(({ values }) => (values === undefined ? markers.delete : markers.upsert));
      columnData.push({ name: markerColumn, data });
    }
    void this.#writer.write({ columnData, rowGroupSize: rows.length });
    this.rows += rows.length;
  }

  #valueOf(column: Column, { id, values }: ChangedRow, index: number): ParquetValue {
    if (values === undefined) return column.name === this.#key ? id : null;
    const value = toParquet(parquetTypeOf(column), values[index] ?? null);
    if (value !== undefined) return value;
    this.unstorable.set(column.name, (this.unstorable.get(column.name) ?? 0) + 1);
    return null;
  }

  /** The complete file. */
  finish(): Uint8Array {
    void this.#writer.finish();
    return this.#bytes.getBytes();
  }
}
