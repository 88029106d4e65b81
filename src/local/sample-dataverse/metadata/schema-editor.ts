import { readFileSync } from 'node:fs';
import { hostileValue } from '../rows/hostile-value.ts';
import { Random } from '../rows/random.ts';
import type { Store } from '../rows/store.ts';
import { isLookup, type Value } from '../rows/values.ts';
import { readCsdl } from './csdl-reader.ts';
import type { MetadataDocument } from './metadata-document.ts';
import { type Column, columnIndex, columnsChanged, type Table } from './model.ts';
import { addTable, columns, resolveLookups, type TableSpec } from './model-builder.ts';

/** Changes the organization's schema while the server runs. Every change raises `globalmetadataversion`. */
export class SchemaEditor {
  readonly #store: Store;
  readonly #document: MetadataDocument;
  #created = 0;

  constructor(store: Store, document: MetadataDocument) {
    this.#store = store;
    this.#document = document;
  }

  /**
   * Adds a column. A text describes it as for `columns()`: `text:100`, `decimal:10:5`. Existing rows get null or,
   * with `fill`, values of its type.
   */
  addColumn(
    tableName: string,
    name: string,
    column: string | Column,
    options: { fill?: boolean } = {},
  ): void {
    const table = this.#table(tableName);
    const added = this.#createdAnew(typeof column === 'string' ? columns({ [name]: column })[0]! : column);
    for (const member of this.#family(table)) {
      if (columnIndex(member, name) >= 0) throw new Error(`${member.logicalName}.${name} exists already`);
      const at = member === table ? member.columns.length : member.inherited;
      this.#spliceValues(member, at, 0, (index) =>
        options.fill ? [hostileValue(added, new Random(3, `${member.logicalName}.${name}`, index))] : [null],
      );
      member.columns.splice(at, 0, added);
      if (member !== table) member.inherited++;
      columnsChanged(member);
    }
    this.#changed(table);
  }

  dropColumn(tableName: string, name: string): void {
    const table = this.#table(tableName);
    for (const member of this.#family(table)) {
      const at = columnIndex(member, name);
      if (at < 0) throw new Error(`${member.logicalName} has no column ${name}`);
      member.columns.splice(at, 1);
      this.#spliceValues(member, at, 1, () => []);
      if (at < member.inherited) member.inherited--;
      columnsChanged(member);
    }
    this.#changed(table);
  }

  /** Changes the type of a column. `convert` makes the new values from the old ones; by default they are null. */
  retypeColumn(
    tableName: string,
    name: string,
    word: string,
    convert: (value: Value) => Value = () => null,
  ): void {
    const table = this.#table(tableName);
    const column = this.#createdAnew(columns({ [name]: word })[0]!);
    for (const member of this.#family(table)) {
      const at = columnIndex(member, name);
      if (at < 0) throw new Error(`${member.logicalName} has no column ${name}`);
      member.columns[at] = column;
      for (const row of this.#store.rowsOf(member).all()) row.values[at] = convert(row.values[at] ?? null);
    }
    this.#changed(table);
  }

  /** Adds a table without rows. */
  addTable(spec: TableSpec): Table {
    if (this.#store.model.tables.has(spec.name)) throw new Error(`the table ${spec.name} exists already`);
    const table = addTable(this.#store.model, spec);
    resolveLookups(this.#store.model, table);
    this.#changed(table);
    return table;
  }

  /** Drops a table and its N:N relationships. Clears the lookups of other tables to it. */
  dropTable(name: string): void {
    this.#forget(this.#table(name));
    for (const other of [...this.#store.model.tables.values()]) {
      if (other.intersect?.ends.some((end) => end.table === name)) this.#forget(other);
      else this.#clearLookups(other, name);
    }
    for (const other of [...this.#store.model.tables.values()]) this.#dropTarget(other, name);
    this.#store.schemaChanged();
  }

  #forget(table: Table): void {
    this.#store.model.remove(table);
    this.#store.forget(table);
  }

  #clearLookups(table: Table, target: string): void {
    const rows = this.#store.rowsOf(table);
    for (const [position, column] of table.columns.entries()) {
      if (!column.targets?.some((each) => each.table === target)) continue;
      for (const row of rows.all()) {
        const value = row.values[position] ?? null;
        if (isLookup(value) && value.table === target) row.values[position] = null;
      }
    }
    rows.schemaChanged();
  }

  /** Derived tables share the columns of their base, so this runs after the rows of all tables are changed. */
  #dropTarget(table: Table, target: string): void {
    for (const column of table.columns) {
      column.targets = column.targets?.filter((each) => each.table !== target);
    }
    for (const column of table.columns.filter((each) => each.targets?.length === 0)) {
      if (columnIndex(table, column.name) >= table.inherited) this.dropColumn(table.logicalName, column.name);
    }
  }

  /** Turns change tracking on. As in Dataverse, it cannot be turned off. */
  enableChangeTracking(name: string): void {
    this.#table(name).changeTracking = true;
    for (const table of this.#store.model.tables.values()) {
      if (table.intersect?.ends.every((end) => this.#store.model.tables.get(end.table)?.changeTracking)) {
        table.changeTracking = true;
      }
    }
    this.#store.schemaChanged();
  }

  /**
   * Serves another real document from now on. Tables in both documents keep their rows, with new values for new
   * columns. Tables that the new document lacks are dropped.
   */
  replaceMetadata(path: string): void {
    const document = readFileSync(path);
    const next = readCsdl(document);
    for (const table of [...this.#store.model.tables.values()]) {
      const replacement = next.tables.get(table.logicalName);
      if (replacement === undefined) {
        this.#store.model.remove(table);
        this.#store.forget(table);
        continue;
      }
      replacement.changeTracking = table.changeTracking;
      this.#remap(table, replacement);
    }
    for (const table of next.tables.values()) {
      if (!this.#store.model.tables.has(table.logicalName)) this.#store.model.add(table);
    }
    this.#document.replace(document);
    this.#store.schemaChanged();
  }

  #remap(table: Table, replacement: Table): void {
    const sources = replacement.columns.map((column) => columnIndex(table, column.name));
    const same = table.columns.map((column) => `${column.name} ${column.type}`).sort();
    const after = replacement.columns.map((column) => `${column.name} ${column.type}`).sort();
    for (const [index, row] of [...this.#store.rowsOf(table).all()].entries()) {
      row.values = replacement.columns.map((column, position) => {
        const source = sources[position]!;
        if (source >= 0) return row.values[source] ?? null;
        return column.targets === undefined
          ? hostileValue(column, new Random(3, `${table.logicalName}.${column.name}`, index))
          : null;
      });
    }
    this.#store.model.remove(table);
    for (const key of Object.keys(table)) delete (table as unknown as Record<string, unknown>)[key];
    Object.assign(table, replacement);
    columnsChanged(table);
    this.#store.model.add(table);
    if (same.join() !== after.join()) this.#store.schemaChanged(table);
    else this.#store.rowsOf(table).schemaChanged();
  }

  #createdAnew(column: Column): Column {
    this.#created += 1;
    return { ...column, incarnation: `created ${this.#created}` };
  }

  #table(name: string): Table {
    return this.#store.table(name);
  }

  #family(table: Table): Table[] {
    return this.#store.model.family(table);
  }

  #spliceValues(table: Table, at: number, remove: number, insert: (index: number) => Value[]): void {
    let index = 0;
    for (const row of this.#store.rowsOf(table).all()) row.values.splice(at, remove, ...insert(index++));
  }

  #changed(table: Table): void {
    this.#store.schemaChanged(table);
  }
}
