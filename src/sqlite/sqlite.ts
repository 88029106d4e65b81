/**
 * SQLite in WebAssembly: loads sql.js once. What the project uses of it beyond its documented face
 * (binding by pointer) is in `pointers.ts`, proved by a self-test before it is relied on.
 */

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import initSqlJs, { type SqlJsConfig, type SqlJsStatic } from 'sql.js';
import { SyncError } from '../errors.ts';
import { emptyFile } from './growable-file.ts';
import { type Pointers, pointersTo, type WasmMemory } from './pointers.ts';

/** sql.js, loaded. */
export interface Sqlite {
  readonly sqlJs: SqlJsStatic;
  /** Binding straight from WebAssembly memory; undefined where the self-test failed. */
  readonly pointers: Pointers | undefined;
  /** Why `pointers` is undefined: a thing to log, since writing shards is then about half as fast. */
  readonly pointersFault: string | undefined;
  /** A database without tables, one page long, where the self-test of `file-room.ts` passed. */
  readonly emptyFile: Uint8Array | undefined;
}

let loading: Promise<Sqlite> | undefined;

/** Loads sql.js on the first call (some 10 ms) and hands out the same one after that. */
export function loadSqlite(): Promise<Sqlite> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined;
    throw new SyncError('cannot load SQLite', {
      operation: 'load sql.js',
      hint: 'install the exact dependencies of package-lock.json: npm ci',
      cause,
    });
  });
  return loading;
}

async function load(): Promise<Sqlite> {
  const wasm = await readFile(createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm.wasm'));
  let memory: WasmMemory | undefined;
  const sqlJs = await new Promise<SqlJsStatic>((resolve, reject) => {
    const config: SqlJsConfig & { useOldExtensionFunctions: boolean } = {
      // The old functions override SQLite's own ones.
      useOldExtensionFunctions: false,
      // Emscripten's documented hook (emscripten.org: Module object). It is the one way to reach the memory:
      // its export has a minified name, its type gives it away.
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
  const { pointers, fault } = pointersTo(sqlJs, memory);
  return { sqlJs, pointers, pointersFault: fault, emptyFile: emptyFile(sqlJs) };
}

/** What is used of the global of this name; Node's types leave it to the browser's. */
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
