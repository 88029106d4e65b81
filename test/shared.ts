import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Real metadata documents and recorded responses are kept beside the project, never in it. */
const root = process.env['DATAVERSE_SHARED'] ?? resolve(import.meta.dirname, '../../shared');

/** The path of a shared file or folder, or undefined if it is absent. */
export function sharedPath(...parts: string[]): string | undefined {
  const path = resolve(root, ...parts);
  return existsSync(path) ? path : undefined;
}

/** The reason why a test that needs shared data is skipped. */
export const sharedAbsent = 'the shared folder with real Dataverse documents is not beside this checkout';
