import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { thirdPartyNotices } from '../package/third-party.ts';
import { buildCli } from './build-cli.ts';
import { writeDeclarations } from './declarations.ts';
import { importBuiltins } from './import-builtins.ts';
import { inlineReader } from './inline-reader.ts';

/** The exports of the package: each is a file in `src/library`. */
const entries = ['dataverse', 'metrics-client', 'mirror', 'schema'];

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  // Loaded only if a credential of it is used. It is an optional peer dependency.
  external: ['@azure/identity'],
  // Names and lines stay, so that a stack says where an error was.
  minifySyntax: true,
  // THIRD-PARTY-NOTICES.txt has the licences.
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'warning',
};

/**
 * Bundles each entry with the packages that it uses, as ES module and CommonJS, and writes the declarations of its types.
 * The packages are bundled because their latest versions need a newer Node.js than this library.
 * @param root the folder of the project
 * @param out replaced if it exists
 */
export async function buildLibrary(root: string, out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const entryPoints = entries.map((name) => `src/library/${name}.ts`);
  const places = { absWorkingDir: root, outdir: out, entryPoints };
  const reader = inlineReader(root);
  const [esm, , cli] = await Promise.all([
    build({
      ...common,
      ...places,
      format: 'esm',
      outExtension: { '.js': '.mjs' },
      plugins: [reader, importBuiltins],
      metafile: true,
    }),
    build({ ...common, ...places, format: 'cjs', plugins: [reader], outExtension: { '.js': '.cjs' } }),
    buildCli(root, join(out, 'cli')),
  ]);
  writeDeclarations(root, join(out, 'types'), entryPoints);
  const notices = thirdPartyNotices(
    root,
    [...new Set([esm.metafile, cli].flatMap(({ inputs }) => Object.keys(inputs)))].filter(
      (path) => !/^(?:required|imported|<define|\(disabled\)):?/.test(path),
    ),
  );
  writeFileSync(join(out, 'THIRD-PARTY-NOTICES.txt'), notices);
  cpSync(join(root, 'LICENSE'), join(out, '..', 'LICENSE'));
}
