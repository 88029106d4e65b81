/** SQLite in WebAssembly: loads sql.js once. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import initSqlJs, { type SqlJsConfig, type SqlJsStatic } from 'sql.js';
import { SyncError } from '../errors.ts';

/** sql.js, loaded. */
export interface Sqlite {
  readonly sqlJs: SqlJsStatic;
}

let loading: Promise<Sqlite> | undefined;

/**
 * Loads sql.js on the first call, in some 10 ms. Later calls return the same instance.
 * @param wasm its WebAssembly, for a program without files of its own
 */
export function loadSqlite(wasm?: Uint8Array<ArrayBuffer>): Promise<Sqlite> {
  loading ??= load(wasm).catch((cause: unknown) => {
    loading = undefined;
    throw new SyncError('Cannot load SQLite', {
      operation: 'load sql.js',
      hint: 'Install the exact dependencies of package-lock.json: npm ci.',
      cause,
    });
  });
  return loading;
}

/** The deployment package has the file beside its code; otherwise it is in the package sql.js. */
function wasmPath(): string {
  const beside = join(import.meta.dirname, 'sql-wasm.wasm');
  if (existsSync(beside)) return beside;
  return createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm.wasm');
}

async function load(wasm?: Uint8Array<ArrayBuffer>): Promise<Sqlite> {
  const config: SqlJsConfig & { useOldExtensionFunctions: boolean } = {
    wasmBinary: (wasm ?? new Uint8Array(await readFile(wasmPath()))).buffer,
    // The old extension functions replace functions of SQLite itself.
    useOldExtensionFunctions: false,
  };
  return { sqlJs: await initSqlJs(config) };
}
