/** Builds the package for other programs, `packages/dataverse-sqlite-sync`, into its `dist`. `npm pack` runs it. */
import { resolve } from 'node:path';
import { buildLibrary } from './library/build-library.ts';

const root = resolve(import.meta.dirname, '..');
await buildLibrary(root, resolve(root, 'packages/dataverse-sqlite-sync/dist'));
