/**
 * sql.js keeps a database file in a JavaScript array that it replaces by a greater one, 1.125 times as long,
 * when the file outgrows it: building a database of 60 MB copies some 500 MB, and `export` copies it once
 * more. The array it begins with is what `slice` of its argument gives; here that is an array with room to
 * grow. So the file stays in an ArrayBuffer that we know, and can be read there. Room costs no memory before
 * it is written to.
 */

import type { SqlJsStatic } from 'sql.js';
import type { Sqlite } from './sqlite.ts';

/** What to give to sql.js, and the array that it will work in. */
export interface FileInRoom {
  bytes: Uint8Array;
  room: Uint8Array;
}

/** The page size of all databases; see the measurements in the design. */
export const pageSize = 8192;

/** What `withReserve` made: what follows a file in any other ArrayBuffer may belong to somebody else. */
const reserved = new WeakSet<ArrayBufferLike>();

/** The first `length` of `length + reserve` bytes in an ArrayBuffer of their own, all zero. */
export function withReserve(length: number, reserve: number): Buffer {
  const buffer = new ArrayBuffer(length + reserve);
  reserved.add(buffer);
  return Buffer.from(buffer, 0, length);
}

/** The file in `bytes`, or an empty one with `reserve` bytes of room; undefined for an empty one without. */
export function fileInRoom(
  sqlite: Pick<Sqlite, 'emptyFile'>,
  bytes: Uint8Array | undefined,
  reserve: number,
): FileInRoom | undefined {
  let file = bytes;
  if (file === undefined || file.length === 0) {
    if (sqlite.emptyFile === undefined || reserve <= sqlite.emptyFile.length) return undefined;
    file = withReserve(sqlite.emptyFile.length, reserve - sqlite.emptyFile.length);
    file.set(sqlite.emptyFile);
  }
  const room = new Uint8Array(
    file.buffer,
    file.byteOffset,
    reserved.has(file.buffer) ? undefined : file.length,
  );
  const whole = new Uint8Array(file.buffer, file.byteOffset, file.length);
  whole.slice = () => room as Uint8Array<ArrayBuffer>;
  return { bytes: whole, room };
}

/** An empty database, if sql.js works in the room that it is given: tried by growing one. */
export function emptyFile(sqlJs: SqlJsStatic): Uint8Array | undefined {
  const first = new sqlJs.Database();
  first.run(`PRAGMA page_size=${pageSize}; PRAGMA user_version=1; PRAGMA user_version=0`);
  const empty = first.export();
  first.close();
  const file = fileInRoom({ emptyFile: empty }, undefined, 64 * pageSize)!;
  const second = new sqlJs.Database(file.bytes);
  try {
    second.run('CREATE TABLE t (a BLOB); INSERT INTO t VALUES (randomblob(200000))');
    const exported = Buffer.from(second.export());
    const inRoom = file.room.subarray(0, exported.length);
    // The change counter (bytes 24 to 27), its copy (92 to 95) and the schema cookie (40 to 43) are the copy's
    // own: sqlite.org, Database File Format.
    for (const at of [24, 40, 92]) exported.copy(inRoom, at, at, at + 4);
    return exported.equals(inRoom) ? empty : undefined;
  } finally {
    second.close();
  }
}
