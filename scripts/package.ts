/** `npm run package`: builds what is deployed to Azure, into `.package` and `.package.zip`. */
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPackage } from './package/build-package.ts';

const { values } = parseArgs({ options: { out: { type: 'string', default: '.package' } } });
const root = resolve(import.meta.dirname, '..');
const { folder, zip, files, bytes, zippedBytes } = await buildPackage(root, resolve(values.out));
const here = (path: string) => relative(process.cwd(), path);
const megabytes = (size: number) => `${(size / 1e6).toFixed(1)} MB`;
console.log(`${here(folder)}      ${files} files, ${megabytes(bytes)}`);
console.log(`${here(zip)}  ${megabytes(zippedBytes)}`);
