import { metadataId } from '../metadata/labels.ts';
import { columnIndex, type Model, type Table } from '../metadata/model.ts';
import { stringMap, stringMapRows } from '../metadata/string-map.ts';
import { cascadeDelete } from './cascade-delete.ts';
import { generateRows } from './generate-rows.ts';
import { guidOrderKey } from './guid.ts';
import type { RowPlan } from './row-plan.ts';
import { splitOwner } from './split-owner.ts';
import { TableRows } from './table-rows.ts';
import { dateTimeText, type Lookup, type Row, type Value } from './values.ts';

/** The rows of all tables at one moment. */
export interface Backup {
  version: bigint;
  tables: ReadonlyMap<string, TableRows>;
}

/** Values by column name. */
export type RowValues = Record<string, Value>;

/**
 * The rows of all tables and the organization's row version counter. Tables get their rows on the first access.
 */
export class Store {
  readonly model: Model;
  readonly #plan: RowPlan;
  readonly #clock: () => Date;
  readonly #tables = new Map<string, TableRows>();
  #version: bigint;
  /** `Microsoft.Dynamics.CRM.globalmetadataversion`: grows with each change of the schema. */
  metadataVersion = 6_013_004n;
  /** `organization.ExpireChangeTrackingInDays`. */
  changeTrackingDays = 7;
  /** What `WhoAmI` returns. */
  organizationId = metadataId('organization');
  /** Tables that the caller cannot read for the whole organization. They have no change tracking. */
  readonly withoutOrganizationRead = new Set<string>();
  /** Privileges that the caller lacks, such as `prvReadaccount`. Requests that need one get 403. */
  readonly deniedPrivileges = new Set<string>();

  constructor(model: Model, plan: RowPlan, firstFreeVersion: bigint, clock: () => Date) {
    this.model = model;
    this.#plan = plan;
    this.#version = firstFreeVersion;
    this.#clock = clock;
  }

  /** The last row version that was assigned. */
  get version(): bigint {
    return this.#version;
  }

  now(): Date {
    return this.#clock();
  }

  table(logicalName: string): Table {
    return this.model.byName(logicalName);
  }

  /** The rows of a table, without those of derived tables. */
  rowsOf(table: Table): TableRows {
    if (table.logicalName === stringMap && !this.#plan.options.counts.has(stringMap))
      return this.#stringMapRows(table);
    let rows = this.#tables.get(table.logicalName);
    if (rows === undefined) {
      rows = new TableRows(generateRows(this.model, table, this.#plan));
      this.#tables.set(table.logicalName, rows);
    }
    return rows;
  }

  /** The string map, made again after each change of the schema. */
  #stringMapRows(table: Table): TableRows {
    if (this.#labels?.version !== this.metadataVersion) {
      this.#labels = { version: this.metadataVersion, rows: new TableRows(stringMapRows(this.model, table)) };
    }
    return this.#labels.rows;
  }
  #labels: { version: bigint; rows: TableRows } | undefined;

  /** The rows that a read of a table returns. For an abstract table, these are the rows of all derived tables. */
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

  /** How many rows a read of a table returns. */
  count(logicalName: string): number {
    return this.visibleRows(this.table(logicalName)).size;
  }

  /** A copy of the rows of a table by id, with their values by column name. A mirror must equal it. */
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

  /** The primary name of a row, which annotations show for lookups to it. */
  nameOf(logicalName: string, id: string): string | undefined {
    const table = this.model.tables.get(logicalName);
    if (table?.primaryName === undefined) return undefined;
    const row = this.visibleRows(table).get(id);
    const name = row?.values[columnIndex(table, table.primaryName)];
    return typeof name === 'string' ? name : undefined;
  }

  /** Creates a row and returns its id. Other columns are null or have their defaults. */
  create(logicalName: string, values: RowValues = {}): string {
    const table = this.table(logicalName);
    const id = String(values[table.primaryId] ?? values[table.key] ?? crypto.randomUUID()).toLowerCase();
    const row: Row = { id, order: guidOrderKey(id), version: 0n, values: table.columns.map(() => null) };
    const moment = dateTimeText(this.#clock());
    const fixed: RowValues = { [table.primaryId]: id, [table.key]: id, activitytypecode: table.logicalName };
    this.#assign(table, row, {
      createdon: moment,
      ...this.#byCaller(table, ['ownerid', 'createdby', 'modifiedby']),
      ...defaults(table),
      ...values,
      ...fixed,
    });
    this.#stamp(table, row, values);
    this.#put(table, row);
    return id;
  }

  update(logicalName: string, id: string, values: RowValues): void {
    const table = this.table(logicalName);
    const rows = this.rowsOf(table);
    const old = rows.get(id.toLowerCase());
    if (old === undefined) throw new Error(`the sample Dataverse has no ${logicalName} ${id}`);
    const row: Row = { ...old, values: [...old.values] };
    this.#assign(table, row, { ...this.#byCaller(table, ['modifiedby']), ...values });
    this.#stamp(table, row, values);
    this.#put(table, row);
  }

  /** Changes values without a new version, as calculated columns, system jobs and column security do. */
  updateSilently(logicalName: string, id: string, values: RowValues): void {
    const table = this.table(logicalName);
    const old = this.rowsOf(table).get(id.toLowerCase())!;
    const row: Row = { ...old, values: [...old.values] };
    this.#assign(table, row, values);
    this.#put(table, row);
  }

  /** The rows and the version counter as they are now. */
  backup(): Backup {
    const tables = new Map([...this.#tables].map(([name, rows]) => [name, rows.copy()]));
    return { version: this.#version, tables };
  }

  /** Brings all rows and the version counter back in time. The schema and its version stay. */
  restore({ version, tables }: Backup): void {
    this.#version = version;
    this.#tables.clear();
    for (const [name, rows] of tables) this.#tables.set(name, rows.copy());
    this.#unions.clear();
  }

  /** Runs work for another user than the one that makes the requests. */
  actAs<T>(user: Lookup, work: () => T): T {
    this.#actingFor = user;
    try {
      return work();
    } finally {
      this.#actingFor = undefined;
    }
  }
  #actingFor: Lookup | undefined;

  /** The user that makes the requests, or for whom they are made: the first one, if there are users. */
  get caller(): Lookup | undefined {
    return this.#actingFor ?? this.#plan.lookup('systemuser', 0) ?? undefined;
  }

  #byCaller(table: Table, lookups: readonly string[]): RowValues {
    const names = lookups.map((name) => `_${name}_value`).filter((name) => columnIndex(table, name) >= 0);
    const { caller } = this;
    return caller === undefined ? {} : Object.fromEntries(names.map((name) => [name, { ...caller }]));
  }

  /** Deletes a row and its N:N rows, and clears lookups to it. */
  delete(logicalName: string, id: string): void {
    const table = this.table(logicalName);
    const key = id.toLowerCase();
    if (this.rowsOf(table).get(key) === undefined) {
      throw new Error(`the sample Dataverse has no ${logicalName} ${id}`);
    }
    const tables = [...this.model.tables.values()];
    const reached = this.#plan.options.lazy
      ? tables.filter((each) => this.#tables.has(each.logicalName))
      : tables;
    cascadeDelete(this, reached, table, key);
    this.removeRow(table, key);
  }

  /** Links two rows through an N:N table, unless they are linked. Returns the id of the link. */
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
    this.removeRow(this.table(intersectName), link.id);
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

  /** Runs several writes as one. If one throws, all are rolled back. */
  transaction<T>(work: () => T): T {
    const outer = this.#undo;
    const undo: (() => void)[] = [];
    this.#undo = undo;
    try {
      const result = work();
      outer?.push(...undo);
      return result;
    } catch (error) {
      for (const step of undo.toReversed()) step();
      throw error;
    } finally {
      this.#undo = outer;
    }
  }
  #undo: (() => void)[] | undefined;

  #put(table: Table, row: Row): void {
    const rows = this.rowsOf(table);
    const old = rows.get(row.id);
    rows.put(row);
    this.#undo?.push(() => (old === undefined ? rows.remove(row.id) : rows.put(old)));
  }

  /** Removes a row and leaves a tombstone. Does not change other rows. */
  removeRow(table: Table, id: string): void {
    const rows = this.rowsOf(table);
    const old = rows.get(id)!;
    rows.delete(id, this.#nextVersion());
    this.#undo?.push(() => {
      rows.tombstones.pop();
      rows.put(old);
    });
  }

  /**
   * Drops caches after a change of a table's columns. Delta tokens from before the change expire (0x80044352).
   */
  schemaChanged(table?: Table): void {
    this.metadataVersion += 1n;
    const version = this.#nextVersion();
    for (const member of table === undefined ? [] : this.model.family(table)) {
      this.#schemaVersions.set(member.logicalName, version);
      this.rowsOf(member).schemaChanged();
    }
    this.#unions.clear();
  }
  readonly #schemaVersions = new Map<string, bigint>();

  /** The row version at the last change of a table's columns. */
  schemaVersion(table: Table): bigint {
    return this.#schemaVersions.get(table.logicalName) ?? 0n;
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
    if (values['_ownerid_value'] !== undefined) splitOwner(table, row.values);
  }

  /** Sets version and time of a write. The caller may set `modifiedon` itself, as an import does. */
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
