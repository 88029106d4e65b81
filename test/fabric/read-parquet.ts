import { type Data, DataType, tableFromIPC, type Vector } from 'apache-arrow';
import { readParquet as readWithRust } from 'parquet-wasm';

export interface ParquetTable {
  /** The types of the columns by name, in their order, as Arrow calls them. */
  types: Map<string, string>;
  rows: Record<string, unknown>[];
}

/**
 * Reads a Parquet file with a reader that shares no code with the writer: parquet-wasm is the Rust implementation of Apache
 * Arrow. Integers of 64 bits and instants (in microseconds) are BigInts, decimals are texts, dates are days since 1970.
 */
export function readParquet(bytes: Uint8Array): ParquetTable {
  const table = tableFromIPC(readWithRust(bytes).intoIPCStream());
  const types = new Map(table.schema.fields.map(({ name, type }) => [name, String(type)]));
  const rows: Record<string, unknown>[] = Array.from({ length: table.numRows }, () => ({}));
  table.schema.fields.forEach(({ name }, index) => {
    const values = valuesOf(table.getChildAt(index)!);
    for (const [at, value] of values.entries()) rows[at]![name] = value;
  });
  return { types, rows };
}

function valuesOf(vector: Vector): unknown[] {
  const { type } = vector;
  const isRaw = DataType.isTimestamp(type) || DataType.isDate(type) || DataType.isDecimal(type);
  if (!isRaw) return [...vector];
  return vector.data.flatMap((data: Data) =>
    Array.from({ length: data.length }, (_, at) => {
      if (!data.getValid(at)) return null;
      if (!DataType.isDecimal(type)) return data.values[at];
      const words = data.values.subarray(at * 4, at * 4 + 4) as Uint32Array;
      const unsigned = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n);
      return decimalText(BigInt.asIntN(128, unsigned), type.scale);
    }),
  );
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  const whole = digits.slice(0, -scale);
  return `${unscaled < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}
