import type { TableConfig } from '../../../src/config/entities.ts';
import { parseCsdl } from '../../../src/schema/csdl.ts';
import type { Column, Table } from '../../../src/schema/table.ts';
import { resolveTables } from '../../../src/schema/tables-from-csdl.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import type { Sqlite } from '../../../src/sqlite/sqlite.ts';
import { rowVersion } from '../../../src/sync/fetch/row-version.ts';
import { storableTables } from '../../../src/target/common/storable-tables.ts';
import { postgresEngine } from '../../../src/target/postgres/schema/names.ts';
import { emptyState } from '../../../src/target/state.ts';
import { idOf } from '../../target/sqlite/large-mirror.ts';
import { wideMetadata } from '../wide-metadata.ts';

/** A table of 33 columns, of the types that tables of Dataverse have, as PostgreSQL stores it. */
export function wideTable(): Table {
  const { document, tables } = wideMetadata(1, 33);
  const resolved = resolveTables(parseCsdl(document), [], tables).tables;
  const configs = new Map(tables.map((name) => [name, { name } as TableConfig]));
  return storableTables(resolved, configs, emptyState(), postgresEngine).tables[0]!;
}

/** A value as Dataverse sends it: a fifth of them is null. @param version makes rows that differ in a few columns */
function sampleValue({ property, edmType, reading }: Column, row: number, place: number, version: number) {
  if (property === 'versionnumber') return 1_000_000 + row + version * 10_000_000;
  if (property === 'modifiedon') return at(row + version * 100_000);
  if (place === 0) return idOf(row);
  const mixed = (row * 31 + place * 17) >>> 0;
  if (mixed % 5 === 0) return null;
  switch (reading) {
    case 'guid':
      return idOf(mixed);
    case 'boolean':
      return mixed % 2 === 0;
    case 'integer':
      return edmType === 'Edm.Int64' ? mixed * 1_000_003 : mixed % 100_000;
    case 'real':
      return mixed / 100;
    case 'decimal':
      return `${mixed % 100_000}.${String(mixed % 10_000).padStart(4, '0')}`;
    default:
      return edmType === 'Edm.DateTimeOffset'
        ? at(mixed)
        : `text ${mixed} of row ${row}, version ${version % 2}`;
  }
}

const at = (n: number): string => new Date(1_600_000_000_000 + n * 1000).toISOString().replace('.000Z', 'Z');

export type Row = readonly (string | number | boolean | null)[];

export function rowsOf({ columns }: Table, from: number, to: number, version: number): Row[] {
  return Array.from({ length: to - from }, (_, n) =>
    columns.map((column, place) => sampleValue(column, from + n, place, version)),
  );
}

/** The file of a shard with these rows. */
export function shardOf(sqlite: Sqlite, { columns, primaryKey }: Table, rows: readonly Row[]): Buffer {
  const shard = Shard.create(sqlite);
  const writer = shard.recordWriter('rows', { columns, primaryKey, version: rowVersion });
  const version = columns.findIndex(({ property }) => property === 'versionnumber');
  const records = rows.map((row) => {
    const members = columns.map(({ property }, n) => [property!, row[n]!] as const);
    return JSON.stringify({ '@odata.etag': `W/"${row[version]}"`, ...Object.fromEntries(members) });
  });
  const body = Buffer.from(records.join());
  writer.write(body, 0, body.length);
  const bytes = Buffer.from(shard.export());
  shard.close();
  return bytes;
}

/** The rows as `COPY` takes them, in chunks of 64 KB. No value has a character that needs an escape. */
export function copyText(rows: readonly Row[]): Buffer[] {
  const chunks: Buffer[] = [];
  let text = '';
  for (const row of rows) {
    text += `${row.map((value) => (value === null ? '\\N' : value === true ? 't' : value === false ? 'f' : value)).join('\t')}\n`;
    if (text.length < 65_536) continue;
    chunks.push(Buffer.from(text));
    text = '';
  }
  chunks.push(Buffer.from(text));
  return chunks;
}
