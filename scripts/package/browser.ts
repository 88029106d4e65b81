import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';

/**
 * Bundles the scripts of the web pages, and puts SQLite's WebAssembly beside them.
 * @param root the folder of the project
 * @param out the folder to write into
 * @returns what went into each file; inputs are relative to `root`
 */
export async function buildBrowser(root: string, out: string): Promise<Metafile> {
  mkdirSync(out, { recursive: true });
  cpSync(join(root, 'node_modules/@sqlite.org/sqlite-wasm/dist/sqlite3.wasm'), join(out, 'sqlite3.wasm'));
  const { metafile } = await build({
    absWorkingDir: root,
    outdir: out,
    entryPoints: ['dashboard', 'data', 'sqlite-worker'].map((name) => `src/browser/${name}.ts`),
    bundle: true,
    platform: 'browser',
    target: 'es2022',
    format: 'esm',
    minify: true,
    legalComments: 'none',
    // SQLite names parts of itself that its thread does not load here.
    logOverride: { 'empty-import-meta': 'silent' },
    logLevel: 'warning',
    metafile: true,
  });
  return metafile;
}
