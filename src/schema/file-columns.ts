import { columnTypes } from './column-types.ts';
import type { Table } from './table.ts';

/** A file or image column. Dataverse sends its content only on a request of its own, not with the row. */
export interface FileColumn {
  /** The column to request the content of: `new_contract`, `entityimage`. */
  column: string;
  kind: 'file' | 'image';
  /** The column with the id of the content: another content has another id. */
  idColumn: string;
  /** The column with the name of the file. Images have no name. */
  nameColumn?: string;
}

/**
 * The file and image columns of a table. In rows a file is the id of its content beside its name, `x` and `x_name`;
 * an image is a thumbnail beside an id, `x` and `xid` (learn.microsoft.com: File columns; Image columns).
 */
export function fileColumns(table: Table): FileColumn[] {
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const keys = new Set([table.primaryKey, ...table.foreignKeys.map(({ column }) => column)]);
  const isId = (name: string): boolean => {
    const column = columns.get(name);
    return column !== undefined && columnTypes[column.reading].id === true;
  };
  return table.columns.flatMap(({ name, type }): FileColumn[] => {
    if (isId(name) && !keys.has(name) && columns.get(`${name}_name`)?.edmType === 'Edm.String') {
      return [{ column: name, kind: 'file', idColumn: name, nameColumn: `${name}_name` }];
    }
    if (type === 'BLOB' && isId(`${name}id`)) return [{ column: name, kind: 'image', idColumn: `${name}id` }];
    return [];
  });
}
