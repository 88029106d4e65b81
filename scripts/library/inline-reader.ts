import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/**
 * Puts the thread that reads a mirror, and SQLite in WebAssembly, into the module that starts it: a program that is bundled
 * again has no files beside it.
 */
export function inlineReader(root: string): Plugin {
  return {
    name: 'inline reader',
    setup({ onLoad }) {
      onLoad({ filter: /\/mirror\/start-reader\.ts$/ }, async () => {
        const reader = await build({
          absWorkingDir: root,
          entryPoints: ['src/mirror/reader.ts'],
          bundle: true,
          platform: 'node',
          target: 'node20',
          format: 'cjs',
          // The thread gets its WebAssembly from the program, and looks for no file.
          define: { 'import.meta.dirname': '""', 'import.meta.url': '""' },
          minifySyntax: true,
          minifyWhitespace: true,
          legalComments: 'none',
          charset: 'utf8',
          write: false,
          logLevel: 'warning',
        });
        const wasm = createRequire(join(root, 'package.json')).resolve('sql.js/dist/sql-wasm.wasm');
        return {
          loader: 'js',
          resolveDir: join(root, 'src/mirror'),
          contents: `
import { Worker } from 'node:worker_threads';
const code = ${JSON.stringify(reader.outputFiles[0]!.text)};
const wasm = '${readFileSync(wasm).toString('base64')}';
export function startReader(data) {
  return new Worker(code, { eval: true, workerData: { ...data, wasm: new Uint8Array(Buffer.from(wasm, 'base64')) } });
}`,
        };
      });
    },
  };
}
