import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version in package.json, which lies above this file: in the checkout, in `dist`, and in the deployment package. */
export function appVersion(): string {
  version ??= versionAbove(import.meta.dirname);
  return version;
}

let version: string | undefined;

function versionAbove(folder: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      'name' | 'version',
      string
    >;
    if (name === 'dataverse-sqlite-sync') return version;
  } catch {
    // Not in this folder.
  }
  const above = dirname(folder);
  return above === folder ? 'unknown' : versionAbove(above);
}
