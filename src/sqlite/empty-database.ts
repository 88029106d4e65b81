import type { SqlJsStatic } from 'sql.js';

/** The page size of the mirror's databases, in bytes. */
export const pageSize = 8192;

const known = new WeakMap<SqlJsStatic, Uint8Array>();

/** The file of a database without tables: one page. Do not change it. */
export function emptyDatabase(sqlJs: SqlJsStatic): Uint8Array {
  const before = known.get(sqlJs);
  if (before !== undefined) return before;
  const database = new sqlJs.Database();
  try {
    // A database that nothing was written to has no page.
    database.run(`PRAGMA page_size=${pageSize}; PRAGMA user_version=1; PRAGMA user_version=0`);
    const bytes = database.export();
    known.set(sqlJs, bytes);
    return bytes;
  } finally {
    database.close();
  }
}
