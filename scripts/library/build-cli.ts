import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { commonJs } from '../package/bundle.ts';
import { inlineReader } from './inline-reader.ts';
import { requireHttp } from './require-http.ts';

/**
 * Bundles the command line. A command loads only its own parts: sign-in, storage and protocols are files that are loaded when
 * they are needed. The thread of a large database is a file of its own.
 * @param out the folder to write into
 */
export async function buildCli(root: string, out: string): Promise<Metafile> {
  mkdirSync(out, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    outdir: out,
    entryPoints: {
      main: 'src/cli/main.ts',
      'database-worker': 'src/target/sqlite/database/database-worker.ts',
    },
    chunkNames: '[name]-[hash]',
    splitting: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    // Telemetry of the functions app.
    external: ['applicationinsights'],
    banner: { js: commonJs },
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    charset: 'utf8',
    plugins: [inlineReader(root), requireHttp],
    metafile: true,
    logLevel: 'warning',
  });
  const wasm = createRequire(join(root, 'package.json')).resolve('sql.js/dist/sql-wasm.wasm');
  copyFileSync(wasm, join(out, 'sql-wasm.wasm'));
  writeFileSync(join(out, 'package.json'), '{ "type": "module" }\n');
  return metafile;
}
