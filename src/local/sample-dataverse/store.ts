import { generateRows, type RowPlan } from './generate-rows.ts';
import { guidOrderKey } from './guid.ts';
import { columnIndex, type Model, type Table } from './model.ts';
import { TableRows } from './table-rows.ts';
import { dateTimeText, isLookup, type Lookup, type Row, type Value } from './values.ts';

/** Values by column name, as a test or a write hands them over. */
export type RowValues = Record<string, Value>;

/**
 * The truth: every table's rows, and the organisation's one row version counter. Tables are filled when they
 * are first asked for.
 */
export class Store {
  readonly model: Model;
  readonly #plan: RowPlan;
  readonly #clock: () => Date;
  readonly #tables = new Map<string, TableRows>();
  #version: bigint;
  /** Grows with each change of the schema: `Microsoft.Dynamics.CRM.globalmetadataversion`. */
  metadataVersion = 6_012_567n;

  constructor(model: Model, plan: RowPlan, firstFreeVersion: bigint, clock: () => Date) {
    this.model = model;
    this.#plan = plan;
    this.#version = firstFreeVersion;
    this.#clock = clock;
  }

  /** The last version given out. */
  get version(): bigint {
    return this.#version;
  }

  now(): Date {
    return this.#clock();
  }

  table(logicalName: string): Table {
    return this.model.byName(logicalName);
  }

  /** The rows that a table itself holds. */
  rowsOf(table: Table): TableRows {
    let rows = this.#tables.get(table.logicalName);
    if (rows === undefined) {
      rows = new TableRows(generateRows(this.model, table, this.#plan));
      this.#tables.set(table.logicalName, rows);
    }
    return rows;
  }

  /** The rows that a read of the table sees: an abstract table shows those of all derived ones. */
  visibleRows(table: Table): TableRows {
    if (!table.abstract) return this.rowsOf(table);
    const members = this.model.family(table);
    const holders = members.map((member) => this.rowsOf(member));
    const known = this.#unions.get(table.logicalName);
    const stamp = holders.map((rows) => rows.generation).join();
    if (known?.stamp === stamp) return known.rows;
    const rows = new TableRows(holders.flatMap((holder) => [...holder.all()]));
    for (const holder of holders) rows.tombstones.push(...holder.tombstones);
    this.#unions.set(table.logicalName, { stamp, rows });
    return rows;
  }
  readonly #unions = new Map<string, { stamp: string; rows: TableRows }>();

  /** How many rows a table shows. */
  count(logicalName: string): number {
    return this.visibleRows(this.table(logicalName)).size;
  }

  /** Every row of a table by id, with its values by column name: what a mirror must equal. */
  truth(logicalName: string): Map<string, RowValues & { '@version': bigint }> {
    const table = this.table(logicalName);
    const truth = new Map<string, RowValues & { '@version': bigint }>();
    for (const row of this.visibleRows(table).all()) {
      const values: RowValues = {};
      for (const [position, column] of table.columns.entries())
        values[column.name] = row.values[position] ?? null;
      truth.set(row.id, Object.assign(values, { '@version': row.version }));
    }
    return truth;
  }

  /** The name that a lookup shows for the row it points to. */
  nameOf(logicalName: string, id: string): string | undefined {
    const table = this.model.tables.get(logicalName);
    if (table?.primaryName === undefined) return undefined;
    const row = this.visibleRows(table).get(id);
    const name = row?.values[columnIndex(table, table.primaryName)];
    return typeof name === 'string' ? name : undefined;
  }

  /** Creates a row; what is not given is null. Returns its id. */
  create(logicalName: string, values: RowValues = {}): string {
    const table = this.table(logicalName);
    const id = String(values[table.primaryId] ?? values[table.key] ?? crypto.randomUUID()).toLowerCase();
    const row: Row = { id, order: guidOrderKey(id), version: 0n, values: table.columns.map(() => null) };
    const moment = dateTimeText(this.#clock());
    const fixed: RowValues = { [table.primaryId]: id, [table.key]: id, activitytypecode: table.logicalName };
    this.#assign(table, row, { createdon: moment, ...defaults(table), ...values, ...fixed });
    this.#stamp(table, row, values);
    this.rowsOf(table).put(row);
    return id;
  }

  update(logicalName: string, id: string, values: RowValues): void {
    const table = this.table(logicalName);
    const rows = this.rowsOf(table);
    const old = rows.get(id.toLowerCase());
    if (old === undefined) throw new Error(`the sample Dataverse has no ${logicalName} ${id}`);
    const row: Row = { ...old, values: [...old.values] };
    this.#assign(table, row, values);
    this.#stamp(table, row, values);
    rows.put(row);
  }

  /** Deletes a row; N:N rows that name it go with it, lookups to it become empty, as Dataverse cascades. */
  delete(logicalName: string, id: string): void {
    const table = this.table(logicalName);
    const key = id.toLowerCase();
    if (this.rowsOf(table).get(key) === undefined) {
      throw new Error(`the sample Dataverse has no ${logicalName} ${id}`);
    }
    this.#cascade(table, key);
    this.rowsOf(table).delete(key, this.#nextVersion());
  }

  #cascade(table: Table, id: string): void {
    for (const other of this.model.tables.values()) {
      if (other.intersect !== undefined) this.#removeLinks(other, table, id);
      else if (!other.abstract) this.#clearLookups(other, table, id);
    }
  }

  #removeLinks(intersect: Table, table: Table, id: string): void {
    for (const end of intersect.intersect!.ends) {
      if (end.table !== table.logicalName) continue;
      const position = columnIndex(intersect, end.column);
      const rows = this.rowsOf(intersect);
      for (const row of [...rows.all()]) {
        if (row.values[position] === id) rows.delete(row.id, this.#nextVersion());
      }
    }
  }

  #clearLookups(other: Table, table: Table, id: string): void {
    const names = other.columns.flatMap((column, position) =>
      column.targets?.some((target) => target.table === table.logicalName) ? [position] : [],
    );
    if (names.length === 0) return;
    const rows = this.rowsOf(other);
    for (const row of [...rows.all()]) {
      const cleared: RowValues = {};
      for (const position of names) {
        const value = row.values[position];
        if (value !== undefined && isLookup(value) && value.id === id)
          cleared[other.columns[position]!.name] = null;
      }
      if (Object.keys(cleared).length > 0) this.update(other.logicalName, row.id, cleared);
    }
  }

  /** Links two rows through an N:N table, once. Returns the link's id. */
  associate(intersectName: string, first: string, second: string): string {
    const link = this.findLink(intersectName, first, second);
    if (link !== undefined) return link.id;
    const [one, two] = this.table(intersectName).intersect!.ends;
    return this.create(intersectName, {
      [one.column]: first.toLowerCase(),
      [two.column]: second.toLowerCase(),
    });
  }

  disassociate(intersectName: string, first: string, second: string): boolean {
    const link = this.findLink(intersectName, first, second);
    if (link === undefined) return false;
    this.rowsOf(this.table(intersectName)).delete(link.id, this.#nextVersion());
    return true;
  }

  findLink(intersectName: string, first: string, second: string): Row | undefined {
    const table = this.table(intersectName);
    const [one, two] = table.intersect!.ends.map((end) => columnIndex(table, end.column)) as [number, number];
    for (const row of this.rowsOf(table).all()) {
      if (row.values[one] === first.toLowerCase() && row.values[two] === second.toLowerCase()) return row;
    }
    return undefined;
  }

  /** Forgets every page made from a table's rows, after its columns changed. */
  schemaChanged(table?: Table): void {
    this.metadataVersion += 1n;
    for (const member of table === undefined ? [] : this.model.family(table)) this.rowsOf(member).changed();
    this.#unions.clear();
  }

  forget(table: Table): void {
    this.#tables.delete(table.logicalName);
    this.#unions.clear();
  }

  #assign(table: Table, row: Row, values: RowValues): void {
    for (const [name, value] of Object.entries(values)) {
      const position = columnIndex(table, name);
      if (position >= 0) row.values[position] = value;
      else if (name !== 'createdon' && name !== 'activitytypecode') {
        throw new Error(`the sample Dataverse has no column ${table.logicalName}.${name}`);
      }
    }
    const owner = values['_ownerid_value'] as Lookup | null | undefined;
    if (owner !== undefined) this.#splitOwner(table, row, owner);
  }

  #splitOwner(table: Table, row: Row, owner: Lookup | null): void {
    for (const kind of ['systemuser', 'team']) {
      const position = columnIndex(table, kind === 'team' ? '_owningteam_value' : '_owninguser_value');
      if (position >= 0) row.values[position] = owner?.table === kind ? { ...owner } : null;
    }
  }

  /** `modifiedon` may be given, to date a change back as an import does. */
  #stamp(table: Table, row: Row, given: RowValues): void {
    row.version = this.#nextVersion();
    const version = columnIndex(table, 'versionnumber');
    if (version >= 0) row.values[version] = row.version;
    const modified = columnIndex(table, 'modifiedon');
    if (modified >= 0 && given['modifiedon'] === undefined)
      row.values[modified] = dateTimeText(this.#clock());
  }

  #nextVersion(): bigint {
    this.#version += 1n;
    return this.#version;
  }
}

function defaults(table: Table): RowValues {
  const values: RowValues = {};
  for (const column of table.columns) {
    const first = column.choice?.options[0]?.value;
    if (first !== undefined && (column.choice?.kind === 'state' || column.choice?.kind === 'status')) {
      values[column.name] = first;
    }
  }
  return values;
}
