import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { ForeignKey, Table } from '../../../schema/table.ts';
import type { Placements } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import { storedName } from '../schema/names.ts';

/** A column whose values are in `_choices`. */
export interface ChoiceColumn {
  column: string;
  /** Whether it has several codes separated by commas, as Dataverse sends multi-select choices: `1,3`. */
  multiple: boolean;
}

export interface ViewOptions {
  choices: readonly ChoiceColumn[];
  /** The tables in the same database. */
  synced: readonly Table[];
  /** The locale id of the labels. A value without a label in this language shows the one with the lowest id. */
  language: number | undefined;
  /** Where tables are on a cluster. */
  placements?: Placements;
}

export interface View {
  name: string;
  /** The SELECT behind it. */
  sql: string;
}

/** The most columns in the result of a query (postgresql.org: PostgreSQL Limits). */
const maxColumns = 1664;
/** English (United States), which every Dataverse environment has. */
const defaultLanguage = 1033;

/** The views of a table: with labels, and with the values of multi-select choices if it has such columns. */
export function viewsOf(session: Session, table: Table, options: ViewOptions): View[] {
  return [labelledView(session, table, options), ...choiceValuesView(session, table, options)];
}

/**
 * The view `<table>_labelled`: every column of the table, labels beside choices (`statecode_label`) and names beside lookups
 * (`_parentaccountid_name`).
 */
function labelledView(session: Session, table: Table, options: ViewOptions): View {
  const stored = [...table.columns, ...(table.staleColumns ?? [])].map(({ name }) => name);
  const free = uniqueNames(stored);
  const expressions = new Map<string, string>();
  for (const choice of options.choices) {
    if (!stored.includes(choice.column)) continue;
    const label = labelSql(session, table, choice, options);
    expressions.set(choice.column, `${label} AS ${quote(free(`${choice.column}_label`))}`);
  }
  for (const key of table.foreignKeys) {
    const name = nameSql(session, table, key, options);
    if (name === undefined || !stored.includes(key.column) || expressions.has(key.column)) continue;
    const as = key.column.startsWith('_') ? key.column.replace(/_value$/, '_name') : `${key.column}_name`;
    expressions.set(key.column, `${name} AS ${quote(free(as))}`);
  }
  // A very wide table is shown with fewer labels.
  let room = maxColumns - stored.length;
  const columns = stored.flatMap((column) => {
    const beside = room > 0 ? expressions.get(column) : undefined;
    if (beside !== undefined) room -= 1;
    return beside === undefined ? [`t.${quote(column)}`] : [`t.${quote(column)}`, beside];
  });
  const sql = `SELECT\n  ${columns.join(',\n  ')}\nFROM ${session.name(table.name)} AS t`;
  return { name: storedName(`${table.name}_labelled`), sql };
}

/** The view `<table>_choice_values`: one row for each chosen value of a multi-select column. */
function choiceValuesView(session: Session, table: Table, { choices, language }: ViewOptions): View[] {
  const key = quote(table.primaryKey);
  const selects = choices
    .filter(({ column, multiple }) => multiple && table.columns.some(({ name }) => name === column))
    .map(
      ({ column }) =>
        `SELECT t.${key}, ${quoteText(column)}::text AS column_name, v.value::integer AS value,
  ${choiceSql(session, table, column, 'v.value::integer', language)} AS label
FROM ${session.name(table.name)} AS t, ${valuesSql(column)}`,
    );
  if (selects.length === 0) return [];
  return [{ name: storedName(`${table.name}_choice_values`), sql: selects.join('\nUNION ALL\n') }];
}

function labelSql(
  session: Session,
  table: Table,
  { column, multiple }: ChoiceColumn,
  { language, placements }: ViewOptions,
): string {
  if (multiple && placements?.get(table.name) === 'distributed')
    return distributedLabelsSql(session, table, column, language);
  if (!multiple) return choiceSql(session, table, column, codeSql(table, column), language);
  const label = choiceSql(session, table, column, 'v.value::integer', language);
  return `(SELECT string_agg(${label}, '; ' ORDER BY v.key) FROM ${valuesSql(column)})`;
}

/**
 * The same labels without a subquery in a subquery, which Citus has not: a code that is there twice has one label.
 */
function distributedLabelsSql(
  session: Session,
  table: Table,
  column: string,
  language = defaultLanguage,
): string {
  const codes = codesSql(column);
  return `(SELECT string_agg(l.label, '; ' ORDER BY array_position(${codes}::integer[], l.value)) FROM (
    SELECT DISTINCT ON (c.value) c.value, c.label FROM ${session.name('_choices')} AS c
    WHERE c.table_name = ${quoteText(table.name)} AND c.column_name = ${quoteText(column)}
    ORDER BY c.value, c.language <> ${language}, c.language) AS l WHERE l.value = ANY (${codes}::integer[]))`;
}

/** The code of a choice as a number: a column of yes and no has 1 and 0. */
function codeSql(table: Table, column: string): string {
  const type = table.columns.find(({ name }) => name === column)?.reading;
  return `t.${quote(column)}${type === 'boolean' ? '::integer' : ''}`;
}

/** The codes of a multi-select column as rows `v`. Any other text gives no rows. */
function valuesSql(column: string): string {
  return `unnest(${codesSql(column)}) WITH ORDINALITY AS v (value, key)`;
}

function codesSql(column: string): string {
  const text = `t.${quote(column)}`;
  return `CASE WHEN ${text} ~ '^ *-?[0-9]{1,9} *(, *-?[0-9]{1,9} *)*$' THEN string_to_array(${text}, ',') END`;
}

function choiceSql(
  session: Session,
  table: Table,
  column: string,
  value: string,
  language = defaultLanguage,
): string {
  const label = (rest: string) =>
    `(SELECT c.label FROM ${session.name('_choices')} AS c WHERE c.table_name = ${quoteText(table.name)} AND c.column_name = ${quoteText(column)} AND c.value = ${value}${rest})`;
  return `coalesce(${label(` AND c.language = ${language}`)}, ${label(' ORDER BY c.language LIMIT 1')})`;
}

function nameSql(
  session: Session,
  table: Table,
  { column, targets, typeColumn }: ForeignKey,
  { synced, placements }: ViewOptions,
): string | undefined {
  const named = synced.filter(
    (one) =>
      targets.includes(one.logicalName) && one.primaryName !== undefined && canLookUp(placements, table, one),
  );
  if (named.length === 0) return undefined;
  const typeOf = (one: Table, name: string) =>
    one.columns.find((candidate) => candidate.name === name)?.reading;
  const lookup = (target: Table): string => {
    const isSame = typeOf(table, column) === typeOf(target, target.primaryKey);
    const cast = isSame ? '' : '::text';
    return `(SELECT n.${quote(target.primaryName!)}::text FROM ${session.name(target.name)} AS n WHERE n.${quote(target.primaryKey)}${cast} = t.${quote(column)}${cast})`;
  };
  if (named.length === 1) return lookup(named[0]!);
  if (typeColumn === undefined) return `coalesce(${named.map(lookup).join(', ')})`;
  const cases = named.map((target) => `WHEN ${quoteText(target.logicalName)} THEN ${lookup(target)}`);
  return `CASE t.${quote(typeColumn)} ${cases.join(' ')} END`;
}

/** Whether Citus can look up a row of the one table for each row of the other, wherever they are. */
function canLookUp(placements: Placements | undefined, from: Table, target: Table): boolean {
  const [own, other] = [from, target].map((one) => placements?.get(one.name) ?? 'local');
  return other === 'reference' || (other === 'local' && own !== 'distributed');
}

function uniqueNames(taken: Iterable<string>): (name: string) => string {
  const seen = new Set([...taken].map((name) => name.toLowerCase()));
  return (name) => {
    let unique = storedName(name);
    for (let n = 2; seen.has(unique.toLowerCase()); n++) unique = storedName(`${name}_${n}`);
    seen.add(unique.toLowerCase());
    return unique;
  };
}
