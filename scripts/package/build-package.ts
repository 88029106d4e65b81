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
import { join } from 'node:path';
import { type Zippable, zipSync } from 'fflate';
import { bundle } from './bundle.ts';
import { configurationFiles } from './configuration-files.ts';
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
 * @param env `SYNC_ENTITIES_FILE` names another list of tables, and `SYNC_ENVIRONMENTS_FILE` further environments with lists
 * of their own. These files are packed under the same paths, relative to `root`. The Azure Developer CLI passes its environment to hooks (learn.microsoft.com: Customize Azure Developer CLI workflows).
 * @throws ConfigurationFileError if one of them cannot be packed; nothing is written then
 */
export async function buildPackage(
  root: string,
  folder: string,
  env: Record<string, string | undefined> = process.env,
): Promise<BuiltPackage> {
  const configuration = configurationFiles(root, env);
  rmSync(folder, { recursive: true, force: true });
  const code = join(folder, 'dist');
  mkdirSync(code, { recursive: true });
  const { inputs } = await bundle(root, code);
  const wasm = createRequire(join(root, 'package.json')).resolve('sql.js/dist/sql-wasm.wasm');
  cpSync(wasm, join(code, 'sql-wasm.wasm'));
  for (const name of new Set(['host.json', 'entities.json', 'LICENSE', ...configuration])) {
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
