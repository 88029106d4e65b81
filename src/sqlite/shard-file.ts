import { quoteIdentifier as quote } from '../schema/sql.ts';
import { PageFile } from './file-format/page-file.ts';
import { RecordBuilder } from './file-format/record-builder.ts';
import { TableTree } from './file-format/table-tree.ts';

interface NewTable {
  name: string;
  sql: string;
  tree: TableTree;
}

/** The file of a shard while rows are added: see `Shard`. */
export class ShardFile {
  /** The ids of deleted rows. */
  deleted: string[] = [];
  readonly #file: PageFile;
  readonly #tables: NewTable[] = [];
  readonly #record = new RecordBuilder();

  /** See `PageFile`. */
  constructor(pageSize: number, capacity?: number) {
    this.#file = new PageFile(pageSize, capacity);
  }

  /** Creates a table. @param columns their definitions */
  addTable(name: string, columns: readonly string[]): TableTree {
    const tree = new TableTree(this.#file);
    this.#tables.push({ name, sql: `CREATE TABLE ${quote(name)} (${columns.join(', ')})`, tree });
    return tree;
  }

  /** How many rows the table has. */
  rowsOf(name: string): number {
    return this.#tables.find((table) => table.name === name)?.tree.rows ?? 0;
  }

  /** The current state. The result takes back the rows and deletions added since, if the rows are of this table alone. */
  mark(tree: TableTree): () => void {
    const { length } = this.deleted;
    const takeBack = tree.mark();
    return () => {
      this.deleted.length = length;
      takeBack();
    };
  }

  /** @returns the file so far, which is not a copy. Rows can still be added, which changes it. */
  finish(): Buffer {
    const file = this.#file;
    const { pageCount } = file;
    const deleted = new TableTree(file);
    for (const id of this.deleted) this.#append(deleted, [id]);
    const tables = [
      ...this.#tables,
      { name: 'deleted', sql: 'CREATE TABLE deleted (id TEXT)', tree: deleted },
    ].map(({ name, sql, tree }) => ['table', name, name, tree.finish(), sql]);
    const schema = new TableTree(file);
    for (const table of tables) this.#append(schema, table);
    schema.finishOnPage1();
    const bytes = file.finish();
    // More rows go over what was written here.
    file.pageCount = pageCount;
    return bytes;
  }

  /** Releases the memory. Nothing may use the file any more. */
  close(): void {
    this.#file.close();
  }

  #append(tree: TableTree, values: readonly (string | number)[]): void {
    const record = this.#record;
    const size = values.reduce<number>((sum, value) => sum + 3 * String(value).length, 0);
    record.begin(values.length, size);
    for (const value of values) {
      if (typeof value === 'string') record.string(value);
      else record.integer(value);
    }
    record.finish();
    tree.append(record.bytes, record.start, record.end);
  }
}
