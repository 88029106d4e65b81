import type { Engine } from '../common/storable-tables.ts';

/** `maxColumns`: sqlite.org: Implementation Limits, as every build has it. */
export const sqliteEngine: Engine = {
  name: 'SQLite',
  maxColumns: 2000,
  reserved: /^(?:sqlite_|_sync_|_choices$|_files$)/,
};
