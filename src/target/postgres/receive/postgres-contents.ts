import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { type ListedChoice, type ListedName, listedLabels } from '../../common/listed-labels.ts';
import { deletedAtColumn, historyName } from '../../common/mirror-table.ts';
import { type MirrorContents, type MirrorValue, takenLists } from '../../mirror-contents.ts';
import type { Labels } from '../../mirror-target.ts';
import { type State, tablesOf } from '../../state.ts';
import { metaNames, readMeta } from '../bookkeeping/bookkeeping-tables.ts';
import type { Session } from '../connection/session.ts';
import { type PostgresType, postgresType } from '../schema/column-types.ts';
import { storedName } from '../schema/names.ts';
import { storedColumns } from '../schema/stored-columns.ts';

/** Rows that come from the server at once, at first and at most, and their characters. */
const firstRows = 50;
const batchRows = 2000;
const batchCharacters = 8_000_000;

/** The contents of a mirror in PostgreSQL, in the one state that a transaction sees. */
export class PostgresContents implements MirrorContents {
  readonly state: State;
  readonly labels: Labels | undefined;
  readonly #session: Session;

  private constructor(session: Session, state: State, labels: Labels | undefined) {
    this.#session = session;
    this.state = state;
    this.labels = labels;
  }

  static async open(session: Session, state: State): Promise<PostgresContents> {
    return new PostgresContents(session, state, await labelsOf(session, state));
  }

  readonly databases = [undefined];

  historyName(table: Pick<Table, 'name'>): string {
    return storedName(historyName(table));
  }

  async columns(table: string): Promise<{ name: string; isMixed: boolean }[]> {
    const types = await storedColumns(this.#session, table);
    return [...types.keys()].map((name) => ({ name, isMixed: false }));
  }

  async *rows(table: string, columns: readonly string[]): AsyncGenerator<MirrorValue[][]> {
    const session = this.#session;
    const types = await storedColumns(session, table);
    const place = types.has('place') && !columns.includes('place') ? ' ORDER BY place' : '';
    const selected = columns.map((name, index) => `${selectSql(name, types.get(name)!)} AS c${index}`);
    await session.run(
      `DECLARE contents NO SCROLL CURSOR FOR SELECT ${selected.join(', ')} FROM ${session.name(table)}${place}`,
    );
    const present = this.#typesOfHistory(table);
    const kinds = columns.map((name) => {
      const type = types.get(name)!;
      return { type, isOwn: this.#isOwn(table, name), now: type === 'text' ? present.get(name) : undefined };
    });
    for (let wanted = firstRows; ; ) {
      const rows = await session.all<Record<string, string | null>>(`FETCH ${wanted} FROM contents`);
      if (rows.length > 0)
        yield rows.map((row) => kinds.map((kind, index) => mirrorValue(row[`c${index}`] ?? null, kind)));
      if (rows.length < wanted) break;
      const characters = rows.reduce(
        (sum, row) => sum + Object.values(row).reduce((all, text) => all + (text?.length ?? 0), 0),
        0,
      );
      const fitting = Math.floor((batchCharacters * rows.length) / (characters + 1));
      wanted = Math.max(1, Math.min(batchRows, wanted * 2, fitting));
    }
    await session.run('CLOSE contents');
  }

  /** Whether the times of a column are those of the sync: it writes milliseconds, and Dataverse as little as it can. */
  #isOwn(table: string, column: string): boolean {
    if (takenLists.some((list) => list === table) || column === deletedAtColumn) return true;
    const isPeriod = column === 'valid_from' || column === 'valid_to';
    return isPeriod && !tablesOf(this.state).some(({ name }) => name === table);
  }

  /** The types that the columns of a history have in its table: they are texts if their versions have been of several types. */
  #typesOfHistory(history: string): Map<string, PostgresType> {
    const table = tablesOf(this.state).find((one) => this.historyName(one) === history);
    return new Map(table?.columns.map((column) => [column.name, postgresType(column)]));
  }

  async close(): Promise<void> {
    // The transaction ends with its work.
  }
}

/** Times in UTC, whatever the server's time zone is. */
function selectSql(column: string, type: string): string {
  const name = quote(column);
  if (type === 'bytea') return `encode(${name}, 'hex')`;
  if (type.startsWith('timestamp'))
    return `to_char(${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  return `${name}::text`;
}

/** A time as PostgreSQL makes it a text. */
const timeText = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\+00$/;

/** A text of PostgreSQL as the value that SQLite has. */
function mirrorValue(
  text: string | null,
  { type, isOwn: hasMilliseconds, now }: { type: string; isOwn: boolean; now: PostgresType | undefined },
): MirrorValue {
  if (text === null) return null;
  if (now?.startsWith('timestamp')) return text.replace(timeText, '$1T$2Z');
  if (now === 'boolean' && /^(?:true|false)$/.test(text)) return text === 'true' ? 1 : 0;
  if (type === 'bytea') return Buffer.from(text, 'hex');
  if (type === 'boolean') return text === 'true' ? 1 : 0;
  if (type === 'double precision') return Number(text);
  if (/^(?:smallint|integer|bigint)$/.test(type)) {
    return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  }
  if (!type.startsWith('timestamp')) return text;
  return hasMilliseconds ? text.replace(/\d{3}Z$/, 'Z') : text.replace(/\.?0*Z$/, 'Z');
}

async function labelsOf(session: Session, state: State): Promise<Labels | undefined> {
  if (state.choices === undefined) return undefined;
  const all = <Row>(table: string, columns: string) =>
    session.all<Row>(`SELECT ${columns} FROM ${session.name(table)}`);
  const choices = await all<Record<keyof ListedChoice, string>>(
    '_choices',
    'table_name, column_name, value, language, label',
  );
  const labels = listedLabels(tablesOf(state), {
    choices: choices.map((row) => ({ ...row, value: Number(row.value), language: Number(row.language) })),
    tables: await all<ListedName>('_sync_tables', 'table_name, display_name, description'),
    columns: await all<ListedName>('_sync_columns', 'table_name, column_name, display_name, description'),
  });
  const meta = await readMeta(session, metaNames.choices);
  const { language } = JSON.parse(meta ?? '{}') as { language?: number };
  return language === undefined ? labels : { ...labels, language };
}
