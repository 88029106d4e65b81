import { posix } from 'node:path';

/** The name of a database by its file: `dataverse` for `mirror/dataverse.db`. */
export function databaseNameOf(file: string): string {
  return posix.parse(file).name;
}

/**
 * The file of a named database: it is next to that of the default one and has the same extension.
 * @param defaultFile SYNC_DATABASE_NAME, such as `mirror/dataverse.db`
 * @param name `sales`: the file is `mirror/sales.db`; undefined for the default one
 */
export function databaseFileOf(defaultFile: string, name: string | undefined): string {
  if (name === undefined || name === databaseNameOf(defaultFile)) return defaultFile;
  const { dir, ext } = posix.parse(defaultFile);
  return posix.join(dir, `${name}${ext}`);
}
