/** `npm run package`: builds what is deployed to Azure, into `.package` and `.package.zip`. */
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuiltPackage, buildPackage } from './package/build-package.ts';
import { ConfigurationFileError } from './package/configuration-files.ts';

const { values } = parseArgs({ options: { out: { type: 'string', default: '.package' } } });
const root = resolve(import.meta.dirname, '..');
const here = (path: string) => relative(process.cwd(), path);
const megabytes = (size: number) => `${(size / 1e6).toFixed(1)} MB`;

function report({ folder, zip, files, bytes, zippedBytes }: BuiltPackage): void {
  console.log(`${here(folder)}      ${files} files, ${megabytes(bytes)}`);
  console.log(`${here(zip)}  ${megabytes(zippedBytes)}`);
}

try {
  report(await buildPackage(root, resolve(values.out)));
} catch (error) {
  if (!(error instanceof ConfigurationFileError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
