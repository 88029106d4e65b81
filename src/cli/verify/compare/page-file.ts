import { writeFileSync } from 'node:fs';
import type { Page } from '../../../dataverse/client.ts';
import { parseTombstone } from '../../../dataverse/read/change-tracking.ts';
import type { Column, Table } from '../../../schema/table.ts';
import { Shard } from '../../../sqlite/shard.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import { rowVersion } from '../../../sync/fetch/row-version.ts';

/**
 * Writes a page as a small SQLite file, with the conversions of a sync: the table `rows`, with `_version` beside the columns,
 * and the table `deleted`.
 * @param columns those of Dataverse
 */
export function writePageFile(
  sqlite: Sqlite,
  path: string,
  page: Page,
  { table, columns }: { table: Table; columns: readonly Column[] },
): void {
  const shard = Shard.create(sqlite);
  try {
    const rows = shard.recordWriter('rows', {
      columns: [...columns],
      primaryKey: table.primaryKey,
      version: rowVersion,
      anyCase: true,
      keyless: parseTombstone,
    });
    if (page.recordsStart < page.recordsEnd) rows.write(page.body, page.recordsStart, page.recordsEnd);
    rows.finish();
    writeFileSync(path, shard.export(), { mode: 0o600 });
  } finally {
    shard.close();
  }
}
