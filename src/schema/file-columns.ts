import type { Table } from './table.ts';

/** A column whose content is no part of the row: it is read by a request of its own. */
export interface FileColumn {
  /** The column that the content is asked for by: `new_contract`, `entityimage`. */
  column: string;
  kind: 'file' | 'image';
  /** The column that holds another id whenever the content is another. */
  idColumn: string;
  /** The column with the file's name; images have none. */
  nameColumn?: string;
}

/**
 * The file and image columns of a table. In rows a file is the GUID of its content beside its name, `x` and `x_name`;
 * an image is a thumbnail beside a GUID, `x` and `xid` (learn.microsoft.com: File columns; Image columns).
 */
export function fileColumns(table: Table): FileColumn[] {
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const keys = new Set([table.primaryKey, ...table.foreignKeys.map(({ column }) => column)]);
  return table.columns.flatMap(({ name, reading }): FileColumn[] => {
    if (reading === 'guid' && !keys.has(name) && columns.get(`${name}_name`)?.reading === 'text') {
      return [{ column: name, kind: 'file', idColumn: name, nameColumn: `${name}_name` }];
    }
    if (reading === 'base64' && columns.get(`${name}id`)?.reading === 'guid') {
      return [{ column: name, kind: 'image', idColumn: `${name}id` }];
    }
    return [];
  });
}
