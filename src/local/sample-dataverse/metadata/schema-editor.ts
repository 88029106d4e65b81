import { readFileSync } from 'node:fs';
import type { Dataverse } from '../dataverse.ts';
import { Fragment } from '../http/fragment.ts';
import { hostileValue } from '../rows/hostile-value.ts';
import { Random } from '../rows/random.ts';
import { isLookup, type Value } from '../rows/values.ts';
import { readCsdl } from './csdl-reader.ts';
import { type Column, columnIndex, columnsChanged, type Table } from './model.ts';
import { addTable, columns, resolveLookups, type TableSpec } from './model-builder.ts';

/** Changes the organisation's schema while it runs. Every change raises `globalmetadataversion`. */
export class SchemaEditor {
  readonly #dataverse: Dataverse;

  constructor(dataverse: Dataverse) {
    this.#dataverse = dataverse;
  }

  /**
   * Adds a column, described in a word of `columns()` (`text:100`, `decimal:10:5`, …) or whole. Rows that exist
   * hold null in it, or values of its type with `fill`.
   */
  addColumn(
    tableName: string,
    name: string,
    column: string | Column,
    options: { fill?: boolean } = {},
  ): void {
    const table = this.#table(tableName);
    const added = typeof column === 'string' ? columns({ [name]: column })[0]! : column;
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

  /** Gives a column another type; `convert` makes the new values from the old, null by default. */
  retypeColumn(
    tableName: string,
    name: string,
    word: string,
    convert: (value: Value) => Value = () => null,
  ): void {
    const table = this.#table(tableName);
    const column = columns({ [name]: word })[0]!;
    for (const member of this.#family(table)) {
      const at = columnIndex(member, name);
      if (at < 0) throw new Error(`${member.logicalName} has no column ${name}`);
      member.columns[at] = column;
      for (const row of this.#dataverse.store.rowsOf(member).all())
        row.values[at] = convert(row.values[at] ?? null);
    }
    this.#changed(table);
  }

  /** Adds a table without rows. */
  addTable(spec: TableSpec): Table {
    const { store } = this.#dataverse;
    if (store.model.tables.has(spec.name)) throw new Error(`the table ${spec.name} exists already`);
    const table = addTable(store.model, spec);
    resolveLookups(store.model, table);
    this.#changed(table);
    return table;
  }

  /** Drops a table, the N:N relationships it is an end of, and what other tables' lookups hold of it. */
  dropTable(name: string): void {
    const { store } = this.#dataverse;
    this.#forget(this.#table(name));
    for (const other of [...store.model.tables.values()]) {
      if (other.intersect?.ends.some((end) => end.table === name)) this.#forget(other);
      else this.#clearLookups(other, name);
    }
    for (const other of [...store.model.tables.values()]) this.#dropTarget(other, name);
    store.schemaChanged();
  }

  #forget(table: Table): void {
    this.#dataverse.store.model.remove(table);
    this.#dataverse.store.forget(table);
  }

  #clearLookups(table: Table, target: string): void {
    const rows = this.#dataverse.store.rowsOf(table);
    for (const [position, column] of table.columns.entries()) {
      if (!column.targets?.some((each) => each.table === target)) continue;
      for (const row of rows.all()) {
        const value = row.values[position] ?? null;
        if (isLookup(value) && value.table === target) row.values[position] = null;
      }
    }
    rows.schemaChanged();
  }

  /** A derived table shares its base's columns, so targets go only after all rows are done. */
  #dropTarget(table: Table, target: string): void {
    for (const column of table.columns) {
      column.targets = column.targets?.filter((each) => each.table !== target);
    }
    for (const column of table.columns.filter((each) => each.targets?.length === 0)) {
      if (columnIndex(table, column.name) >= table.inherited) this.dropColumn(table.logicalName, column.name);
    }
  }

  /** Switches change tracking on; as in Dataverse, it cannot be switched off again. */
  enableChangeTracking(name: string): void {
    const { store } = this.#dataverse;
    this.#table(name).changeTracking = true;
    for (const table of store.model.tables.values()) {
      if (table.intersect?.ends.every((end) => store.model.tables.get(end.table)?.changeTracking)) {
        table.changeTracking = true;
      }
    }
    store.schemaChanged();
  }

  /**
   * Serves another real document from now on. Rows of tables that stay are kept by column name, new columns get
   * values of their type, tables that the document lacks are gone.
   */
  replaceMetadata(path: string): void {
    const { store } = this.#dataverse;
    const document = readFileSync(path);
    const next = readCsdl(document);
    for (const table of [...store.model.tables.values()]) {
      const replacement = next.tables.get(table.logicalName);
      if (replacement === undefined) {
        store.model.remove(table);
        store.forget(table);
        continue;
      }
      replacement.changeTracking = table.changeTracking;
      this.#remap(table, replacement);
    }
    for (const table of next.tables.values()) {
      if (!store.model.tables.has(table.logicalName)) store.model.add(table);
    }
    this.#dataverse.document = new Fragment(document);
    store.schemaChanged();
  }

  #remap(table: Table, replacement: Table): void {
    const { store } = this.#dataverse;
    const sources = replacement.columns.map((column) => columnIndex(table, column.name));
    const same = table.columns.map((column) => `${column.name} ${column.type}`).sort();
    const after = replacement.columns.map((column) => `${column.name} ${column.type}`).sort();
    for (const [index, row] of [...store.rowsOf(table).all()].entries()) {
      row.values = replacement.columns.map((column, position) => {
        const source = sources[position]!;
        if (source >= 0) return row.values[source] ?? null;
        return column.targets === undefined
          ? hostileValue(column, new Random(3, `${table.logicalName}.${column.name}`, index))
          : null;
      });
    }
    store.model.remove(table);
    for (const key of Object.keys(table)) delete (table as unknown as Record<string, unknown>)[key];
    Object.assign(table, replacement);
    columnsChanged(table);
    store.model.add(table);
    if (same.join() !== after.join()) store.schemaChanged(table);
    else store.rowsOf(table).schemaChanged();
  }

  #table(name: string): Table {
    return this.#dataverse.store.table(name);
  }

  #family(table: Table): Table[] {
    return this.#dataverse.store.model.family(table);
  }

  #spliceValues(table: Table, at: number, remove: number, insert: (index: number) => Value[]): void {
    let index = 0;
    for (const row of this.#dataverse.store.rowsOf(table).all())
      row.values.splice(at, remove, ...insert(index++));
  }

  #changed(table: Table): void {
    this.#dataverse.store.schemaChanged(table);
  }
}
