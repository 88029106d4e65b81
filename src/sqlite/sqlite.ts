/**
 * SQLite in WebAssembly: loads sql.js once. Two undocumented parts of sql.js are used if their self-tests pass: the C
 * functions (`c-api.ts`) and the array that a file is kept in (`growable-file.ts`).
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import initSqlJs, { type SqlJsConfig, type SqlJsStatic } from 'sql.js';
import { SyncError } from '../errors.ts';
import { type CApi, loadCApi, type WasmMemory } from './c-api.ts';
import { emptyFile } from './growable-file.ts';

/** sql.js, loaded. */
export interface Sqlite {
  readonly sqlJs: SqlJsStatic;
  /** SQLite's C functions; undefined if their self-test failed. Writing shards is then about half as fast. */
  readonly cApi?: CApi;
  /** Why `cApi` is undefined. */
  readonly cApiError?: string;
  /** A database without tables, one page long; undefined if the self-test of `growable-file.ts` failed. */
  readonly emptyFile: Uint8Array | undefined;
}

let loading: Promise<Sqlite> | undefined;

/** Loads sql.js on the first call, in some 10 ms. Later calls return the same instance. */
export function loadSqlite(): Promise<Sqlite> {
  loading ??= load().catch((cause: unknown) => {
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

async function load(): Promise<Sqlite> {
  const wasm = await readFile(wasmPath());
  let memory: WasmMemory | undefined;
  const sqlJs = await new Promise<SqlJsStatic>((resolve, reject) => {
    const config: SqlJsConfig & { useOldExtensionFunctions: boolean } = {
      // The old extension functions replace functions of SQLite itself.
      useOldExtensionFunctions: false,
      // Emscripten's documented hook (emscripten.org: Module object) is the only way to reach the memory. Its export
      // has a minified name, so it is found by its type.
      instantiateWasm(imports, success) {
        WebAssembly.instantiate(wasm, imports).then(({ instance }) => {
          memory = Object.values(instance.exports).find(isMemory);
          success(instance as never);
        }, reject);
        return {};
      },
    };
    initSqlJs(config).then(resolve, reject);
  });
  return { sqlJs, ...loadCApi(sqlJs, memory), emptyFile: emptyFile(sqlJs) };
}

/** The used part of the global of this name, which Node's types do not declare. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (descriptor: { initial: number }) => WasmMemory;
    instantiate(
      bytes: Uint8Array,
      imports: unknown,
    ): Promise<{ instance: { exports: Record<string, unknown> } }>;
  };
};

function isMemory(value: unknown): value is WasmMemory {
  return value instanceof WebAssembly.Memory;
}
