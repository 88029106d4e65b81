import { globSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { buildBrowser } from './browser.ts';

/**
 * CommonJS packages in an ES module need these three. `require` has to be Node's own: the Functions worker answers it for
 * `@azure/functions-core`.
 */
export const commonJs = [
  "import { createRequire as createRequireOfBundle } from 'node:module';",
  'const require = createRequireOfBundle(import.meta.url);',
  'const __filename = import.meta.filename, __dirname = import.meta.dirname;',
].join('\n');

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  external: ['@azure/functions-core'],
  // Half the size. Names stay, so that a stack still says where an error was.
  minifySyntax: true,
  minifyWhitespace: true,
  // Node prints the whole line at which an error was thrown that nobody caught.
  lineLimit: 160,
  // THIRD-PARTY-NOTICES.txt has the licences.
  legalComments: 'none',
  logLevel: 'warning',
};

/** The monitor's SDK. It is CommonJS, needs `require` in many places, and stays one file. */
const monitor = { name: 'applicationinsights', file: 'applicationinsights.cjs' };

const monitorApart: Plugin = {
  name: 'monitor apart',
  setup({ onResolve }) {
    const filter = new RegExp(`^${monitor.name}$`);
    onResolve({ filter }, () => ({ path: `./${monitor.file}`, external: true }));
  },
};

/**
 * Bundles the app with its packages: `index.js` is what the host loads, with `index.ts` first. What the app imports later
 * stays in files of its own: the monitor and the sign-in libraries. The thread of a large database is one, too.
 * @param root the folder of the project
 * @param out the folder to write into
 * @returns what went into each file; inputs are relative to `root`
 */
export async function bundle(root: string, out: string): Promise<Metafile> {
  const functions = globSync('src/functions/**/*.ts', { cwd: root }).sort();
  const places = { absWorkingDir: root, outdir: out };
  const [app, worker, sdk, browser] = await Promise.all([
    build({
      ...common,
      ...places,
      stdin: {
        contents: ['src/index.ts', ...functions].map((path) => `import './${path}';`).join('\n'),
        resolveDir: root,
        sourcefile: 'index.ts',
      },
      entryNames: 'index',
      chunkNames: '[name]-[hash]',
      splitting: true,
      format: 'esm',
      banner: { js: commonJs },
      plugins: [monitorApart],
      metafile: true,
    }),
    build({
      ...common,
      ...places,
      // The thread of a large database, and that of pages which read the mirror.
      entryPoints: ['src/target/sqlite/database/database-worker.ts', 'src/mirror/reader.ts'],
      entryNames: '[name]',
      format: 'esm',
      banner: { js: commonJs },
      metafile: true,
    }),
    build({
      ...common,
      ...places,
      entryPoints: { applicationinsights: monitor.name },
      outExtension: { '.js': '.cjs' },
      format: 'cjs',
      metafile: true,
    }),
    buildBrowser(root, join(out, 'browser')),
  ]);
  const files = [...[app, worker, sdk].map(({ metafile }) => metafile), browser];
  return {
    inputs: Object.assign({}, ...files.map(({ inputs }) => inputs)),
    outputs: Object.assign({}, ...files.map(({ outputs }) => outputs)),
  };
}
