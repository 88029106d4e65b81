import { totalmem } from 'node:os';

const megabyte = 1024 * 1024;
/** The largest memory of this process in bytes: that of the machine, or less where a container limits it. */
export function availableMemory(): number {
  // 0 or undefined: unknown. Without a limit, some systems answer a number beyond any memory.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/**
 * The memory for the database, in megabytes, where the process has `memory` bytes: a third of what is left beside code,
 * pages in progress and shards. A database in memory is read into another third at most while it is checked and stored.
 */
export function cacheMegabytesFor(memory: number): number {
  const rest = Math.floor((memory / megabyte - 512) / 3);
  return Math.min(1024, Math.max(64, rest));
}
