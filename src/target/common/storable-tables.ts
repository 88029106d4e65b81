import type { TableConfig } from '../../config/entities.ts';
import { SkipTableError } from '../../errors.ts';
import { reservedColumns } from '../../schema/reserved-names.ts';
import { entitySetOf, type Table } from '../../schema/table.ts';
import type { State, TableState } from '../state.ts';
import { hasMarks, historyName, mirrorTable, viewSuffixes } from './mirror-table.ts';

/** What a database can store. */
export interface Engine {
  name: string;
  /** The most columns of a table. */
  maxColumns: number;
  /** Names in lower case that tables of Dataverse cannot have: those of the database and of the sync itself. */
  reserved: RegExp;
  /** The name as the database can store it: another one, always the same, if it is too long. @default as it is */
  nameOf?: (name: string) => string;
  /** The table with names of columns that the database can store. @default as they are */
  withColumns?: (table: Table) => Table;
  /** Whether it has numbers that keep every digit of decimals. */
  isExact?: boolean;
  /** Whether the mirror is one database, whatever the configuration says. */
  isOne?: boolean;
}

/**
 * The tables as the mirror holds them, and those that it cannot hold, each with the reason. A table has the name of its
 * entity set. If that is reserved, or if another table, its history or one of its views has it, also in other letters, the
 * table is stored under another name. So is one whose views would have the names of other tables. A table that is in the
 * database keeps its name.
 */
export function storableTables(
  tables: readonly Table[],
  configs: ReadonlyMap<string, TableConfig>,
  state: State,
  engine: Engine,
): { tables: Table[]; rejected: Map<string, SkipTableError> } {
  const names = new TableNames(state, engine);
  const rejected = new Map<string, SkipTableError>();
  const stored = new Map<string, Table>();
  // Those in the database first, and those with a history before others: a table can have another name, a history not.
  // Those that are called like a view come last, so that the table of the view keeps its name.
  const rank = ({ logicalName, name }: Table): number =>
    Number(state.entities[logicalName] === undefined) * 4 +
    Number(!configs.get(logicalName)!.history) * 2 +
    Number(tableOfView(name) !== undefined);
  for (const table of tables.toSorted((a, b) => rank(a) - rank(b))) {
    const { logicalName } = table;
    const config = configs.get(logicalName)!;
    const { withColumns = (one: Table) => one } = engine;
    const named = withColumns(names.nameTable(table));
    const database = engine.isOne ? undefined : config.database;
    const own = mirrorTable(named, config, { exact: engine.isExact === true });
    const mirrored = { ...own, ...(database !== undefined && { database }) };
    const error =
      wrongKey(table, named, engine) ??
      (config.history ? names.takeHistory(named) : undefined) ??
      tooWide(mirrored, config, state.entities[logicalName], engine);
    if (error === undefined) stored.set(logicalName, mirrored);
    else rejected.set(logicalName, error);
  }
  return { tables: tables.flatMap(({ logicalName }) => stored.get(logicalName) ?? []), rejected };
}

/** The table, in lower case, whose view would have this name. */
function tableOfView(name: string): string | undefined {
  const suffix = viewSuffixes.find((one) => name.toLowerCase().endsWith(one));
  return suffix && name.slice(0, -suffix.length).toLowerCase();
}

/** Which names tables and histories have. Names in SQLite are case-insensitive. */
class TableNames {
  readonly #state: State;
  readonly #engine: Engine;
  /** Logical names of the tables by the names that they or their histories have, in lower case. */
  readonly #holders = new Map<string, string>();
  /** The same of tables alone: histories have no views. */
  readonly #tables = new Map<string, string>();

  constructor(state: State, engine: Engine) {
    this.#state = state;
    this.#engine = engine;
    for (const [logicalName, { table, history }] of Object.entries(state.entities)) {
      this.#take(table.name, logicalName);
      // A history that is no longer kept stays in the database.
      if (history !== undefined) this.#holders.set(this.#stored(historyName(table)), logicalName);
    }
  }

  nameTable(table: Table): Table {
    const { logicalName, name: entitySet } = table;
    const known = this.#state.entities[logicalName]?.table;
    const isKept = known !== undefined && entitySetOf(known) === entitySet;
    const name = isKept ? known.name : this.#freeName(entitySet, logicalName);
    this.#take(name, logicalName);
    return name === entitySet ? table : { ...table, name, entitySet };
  }

  /** @returns why the table cannot have a history; undefined if it can */
  takeHistory(table: Table): SkipTableError | undefined {
    const { logicalName } = table;
    const name = historyName(table);
    const holder = this.#holders.get(this.#stored(name)) ?? logicalName;
    this.#holders.set(this.#stored(name), holder);
    if (holder === logicalName) return undefined;
    return new SkipTableError(
      `Table ${logicalName} cannot have a history: the database has another table with the name ${name}, that of ${holder}.`,
      {
        object: logicalName,
        hint: `Remove "history" of ${logicalName} from entities.json, or remove ${holder} and drop it: POST /api/sync with {"dropTables": ["${holder}"]}.`,
      },
    );
  }

  /** As the database compares names. */
  #stored(name: string): string {
    const { nameOf = (one: string) => one } = this.#engine;
    return nameOf(name).toLowerCase();
  }

  #take(name: string, logicalName: string): void {
    this.#holders.set(name.toLowerCase(), logicalName);
    this.#tables.set(name.toLowerCase(), logicalName);
  }

  #freeName(name: string, logicalName: string): string {
    const { reserved, nameOf = (one: string) => one } = this.#engine;
    const base = reserved.test(name.toLowerCase()) ? `_${name}` : name;
    let free = nameOf(base);
    const isOther = (holder: string | undefined) => holder !== undefined && holder !== logicalName;
    const isTaken = () =>
      ['', ...viewSuffixes].some((suffix) => isOther(this.#holders.get(this.#stored(`${free}${suffix}`)))) ||
      isOther(this.#tables.get(tableOfView(free) ?? ''));
    for (let n = 2; isTaken(); n++) free = nameOf(`${base}_${n}`);
    return free;
  }
}

/** The key has its own name in every query, so it cannot have another one in the database. */
function wrongKey(table: Table, named: Table, engine: Engine): SkipTableError | undefined {
  const { logicalName, primaryKey } = table;
  const isReserved = reservedColumns.has(primaryKey.toLowerCase());
  const key = named.columns.find(({ name }) => name === named.primaryKey);
  const isRenamed = key?.property !== undefined && key.property !== key.name;
  if (!isReserved && !isRenamed) return undefined;
  const why = isReserved
    ? `the name of its key, ${primaryKey}, is reserved in the database`
    : `${engine.name} cannot have a column with the name of its key, ${key!.property}, which is too long or reserved`;
  return new SkipTableError(`Table ${logicalName} cannot be mirrored: ${why}.`, {
    object: logicalName,
    hint: `Remove ${logicalName} from entities.json.`,
  });
}

/** Counts the columns that the widest of the table's tables would have: the table, its history, or a shard. */
function tooWide(
  table: Table,
  { history }: TableConfig,
  known: TableState | undefined,
  { name: engine, maxColumns }: Engine,
): SkipTableError | undefined {
  const names = new Set(table.columns.map(({ name }) => name.toLowerCase()));
  const { columns = [], staleColumns = [] } = known?.table ?? {};
  for (const { name, edmType } of [...columns, ...staleColumns]) {
    if (edmType !== 'sync') names.add(name.toLowerCase());
  }
  const inHistory = history ? names.size + 2 - Number(hasMarks(table)) : 0;
  const inShard = table.columns.filter(({ property }) => property !== undefined).length + 2;
  const most = Math.max(names.size, inHistory, inShard);
  if (most <= maxColumns) return undefined;
  const { logicalName } = table;
  return new SkipTableError(
    `Table ${logicalName} cannot be mirrored: with its options it needs ${most} columns, and a table in ${engine} has at most ${maxColumns}.`,
    {
      object: logicalName,
      hint: `Leave out columns of ${logicalName} in entities.json: "columns": { "exclude": […] }.`,
    },
  );
}
