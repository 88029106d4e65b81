import { Worker } from 'node:worker_threads';
import type { ReaderData } from './reader-messages.ts';

/** Starts the thread that reads a mirror. The package for other programs has another version of this file. */
export function startReader(data: ReaderData): Worker {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./reader.${ending}`, import.meta.url), { workerData: data });
}
