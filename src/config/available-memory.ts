import { totalmem } from 'node:os';

const megabyte = 1024 * 1024;
/** What the app needs beside the database: code, pages in progress, shards. Measured for first syncs of wide tables. */
const restMegabytes = 300;
/** The merge needs this many times the size of the database. */
const factor = 2.1;

/** The largest memory of this process in bytes: that of the machine, or less where a container limits it. */
export function availableMemory(): number {
  // 0 or undefined: unknown. Without a limit, some systems answer a number beyond any memory.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/** The size of a database, in megabytes, that `memory` bytes suffice for. */
export function databaseMegabytesFor(memory: number): number {
  const megabytes = Math.floor((memory / megabyte - restMegabytes) / factor);
  // SQLite in WebAssembly addresses 4 GB.
  return Math.min(3500, Math.max(50, megabytes));
}
