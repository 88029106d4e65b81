/**
 * Names in lower case that a column of Dataverse cannot have in SQLite, because they mean something of their own there:
 * the row's number (sqlite.org: ROWIDs and the INTEGER PRIMARY KEY), the times of a history, and what the sync adds.
 * Such a column is stored under its name with a number: `rowid_2`.
 */
export const reservedColumns: ReadonlySet<string> = new Set([
  ...['rowid', '_rowid_', 'oid'],
  ...['valid_from', 'valid_to'],
  ...['_version', '_deleted_at', '_json'],
]);
