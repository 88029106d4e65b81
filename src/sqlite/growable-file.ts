/**
 * sql.js keeps a database file in a JavaScript array. If the file outgrows the array, sql.js replaces it by one 1.125
 * times as long: building a database of 60 MB copies some 500 MB, and `export` copies the file once more. The first
 * array is what `slice` of its argument returns. Here `slice` returns a buffer with spare capacity, so the file stays
 * in an ArrayBuffer that we know and can read. Spare capacity costs no memory until it is written to.
 */

import type { SqlJsStatic } from 'sql.js';

/** The argument for sql.js, and the buffer that it then works in. */
export interface GrowableFile {
  bytes: Uint8Array;
  buffer: Uint8Array;
}

/** The page size of all databases, in bytes. */
export const pageSize = 8192;

const minimumSpare = 64 * 1024 * 1024;

/** The buffers of `allocateGrowable`. What follows a file in any other ArrayBuffer may be in use. */
const growable = new WeakSet<ArrayBufferLike>();

/**
 * `length` zero bytes for a database file, at the start of an ArrayBuffer in which the file can grow.
 * @param capacity the size of the ArrayBuffer; by default a quarter more than `length`, and at least 64 MiB more
 */
export function allocateGrowable(
  length: number,
  capacity = length + Math.max(minimumSpare, length >>> 2),
): Buffer {
  const buffer = new ArrayBuffer(capacity);
  growable.add(buffer);
  return Buffer.from(buffer, 0, length);
}

/** The file in `bytes`, or an empty one in a buffer of `capacity` bytes; undefined for an empty one without. */
export function growableFile(
  sqlite: { emptyFile: Uint8Array | undefined },
  bytes: Uint8Array | undefined,
  capacity: number,
): GrowableFile | undefined {
  let file = bytes;
  if (file === undefined || file.length === 0) {
    if (sqlite.emptyFile === undefined || capacity <= sqlite.emptyFile.length) return undefined;
    file = allocateGrowable(sqlite.emptyFile.length, capacity);
    file.set(sqlite.emptyFile);
  }
  const length = growable.has(file.buffer) ? undefined : file.length;
  const buffer = new Uint8Array(file.buffer, file.byteOffset, length);
  const argument = new Uint8Array(file.buffer, file.byteOffset, file.length);
  argument.slice = () => buffer as Uint8Array<ArrayBuffer>;
  return { bytes: argument, buffer };
}

/** An empty database, if sql.js works in the buffer that it is given. Tests this by growing a database. */
export function emptyFile(sqlJs: SqlJsStatic): Uint8Array | undefined {
  const first = new sqlJs.Database();
  first.run(`PRAGMA page_size=${pageSize}; PRAGMA user_version=1; PRAGMA user_version=0`);
  const empty = first.export();
  first.close();
  const file = growableFile({ emptyFile: empty }, undefined, 64 * pageSize)!;
  const second = new sqlJs.Database(file.bytes);
  try {
    second.run('CREATE TABLE t (a BLOB); INSERT INTO t VALUES (randomblob(200000))');
    const exported = Buffer.from(second.export());
    const inBuffer = file.buffer.subarray(0, exported.length);
    // The exported copy has its own change counter (bytes 24 to 27 and 92 to 95) and schema cookie (40 to 43):
    // sqlite.org, Database File Format.
    for (const at of [24, 40, 92]) exported.copy(inBuffer, at, at, at + 4);
    return exported.equals(inBuffer) ? empty : undefined;
  } finally {
    second.close();
  }
}
