import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Real metadata documents and recorded responses live beside the project, never inside it. */
const root = process.env['DATAVERSE_SHARED'] ?? resolve(import.meta.dirname, '../../shared');

/** The path of a shared file or folder, or undefined where the shared folder is absent. */
export function sharedPath(...parts: string[]): string | undefined {
  const path = resolve(root, ...parts);
  return existsSync(path) ? path : undefined;
}

/** Why a test that needs shared data does not run here. */
export const sharedAbsent = 'the shared folder with real Dataverse documents is not beside this checkout';
