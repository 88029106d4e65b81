import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { type Zippable, zipSync } from 'fflate';
import { bundle } from './bundle.ts';
import { thirdPartyNotices } from './third-party.ts';

/** What was built. Sizes in bytes. */
export interface BuiltPackage {
  /** The folder to deploy. */
  folder: string;
  /** The same, for `az functionapp deployment source config-zip`. */
  zip: string;
  bytes: number;
  zippedBytes: number;
  files: number;
}

/**
 * Builds the deployment package: the bundled app, host.json and entities.json (if there is one), with licences.
 * The same sources give the same bytes.
 * @param root the folder of the project
 * @param folder replaced if it exists; the zip is written beside it, as `<folder>.zip`
 * @param env `SYNC_ENTITIES_FILE` names another list of tables, relative to `root`, which is packed under the same path.
 * The Azure Developer CLI passes its environment to hooks (learn.microsoft.com: Customize Azure Developer CLI workflows).
 * @throws Error if that file does not exist or is outside of `root`; nothing is written then
 */
export async function buildPackage(
  root: string,
  folder: string,
  env: Record<string, string | undefined> = process.env,
): Promise<BuiltPackage> {
  const entities = entitiesFile(root, env['SYNC_ENTITIES_FILE']?.trim());
  rmSync(folder, { recursive: true, force: true });
  const code = join(folder, 'dist');
  mkdirSync(code, { recursive: true });
  const { inputs } = await bundle(root, code);
  const wasm = createRequire(join(root, 'package.json')).resolve('sql.js/dist/sql-wasm.wasm');
  cpSync(wasm, join(code, 'sql-wasm.wasm'));
  for (const name of new Set(['host.json', 'entities.json', 'LICENSE', entities])) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name));
  }
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), thirdPartyNotices(root, Object.keys(inputs)));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(root), null, 2)}\n`);

  const zip = `${folder}.zip`;
  const paths = globSync('**/*', { cwd: folder })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
  writeFileSync(zip, zipped(folder, paths));
  const bytes = paths.reduce((sum, path) => sum + statSync(join(folder, path)).size, 0);
  return { folder, zip, bytes, zippedBytes: statSync(zip).size, files: paths.length };
}

/** @returns the path of the list of tables, relative to `root` */
function entitiesFile(root: string, named: string | undefined): string {
  if (named === undefined || named === '') return 'entities.json';
  const path = relative(root, resolve(root, named));
  if (isAbsolute(named) || path.split(sep)[0] === '..') {
    throw new Error(
      `SYNC_ENTITIES_FILE is ${named}, which is outside of the package. Name a file in the folder of host.json, with a relative path.`,
    );
  }
  if (!statSync(join(root, path), { throwIfNoEntry: false })?.isFile()) {
    throw new Error(
      `SYNC_ENTITIES_FILE is ${named}, but ${join(root, path)} is not a file. Create it, or change SYNC_ENTITIES_FILE.`,
    );
  }
  return path;
}

/** What the Functions host reads of package.json, and nothing to install. */
function manifest(root: string) {
  const { name, version, license, type, engines } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, unknown>;
  return { name, version, private: true, license, type, main: 'dist/index.js', engines };
}

function zipped(folder: string, paths: string[]): Uint8Array {
  // The first moment that a zip file can hold.
  const mtime = new Date(1980, 0, 1);
  const entries: Zippable = {};
  for (const path of paths) {
    entries[path.replaceAll('\\', '/')] = [readFileSync(join(folder, path)), { level: 9, mtime }];
  }
  return zipSync(entries);
}
