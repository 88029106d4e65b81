import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { ForeignKey, Table } from '../../../schema/table.ts';

/** A column whose values are in `_choices`. */
export interface ChoiceColumn {
  column: string;
  /** Whether it has several codes separated by commas, as Dataverse sends multi-select choices: `1,3`. */
  multiple?: boolean;
}

export interface LabelledViewOptions {
  choices: readonly ChoiceColumn[];
  /** The tables in the same database. */
  synced: readonly Table[];
  /** The locale id of the labels. A value without a label in this language shows the one with the lowest id. */
  language?: number;
}

/** The most columns in the result of a query (sqlite.org: Implementation Limits). */
const maxColumns = 2000;

/** English (United States), which every Dataverse environment has. */
const defaultLanguage = 1033;

/**
 * The view `<table>_labelled`: every column of the table, labels beside choices (`statecode_label`) and names beside
 * lookups (`_parentaccountid_name`). It reads `_choices(table_name, column_name, value, label, language)`, where
 * `table_name` is the name of the SQLite table. It uses only SQL that old versions of SQLite can parse, because one
 * view that a version cannot parse makes the whole file unreadable to it.
 */
export function labelledViewSql(table: Table, options: LabelledViewOptions): string[] {
  const stored = [...table.columns, ...(table.staleColumns ?? [])].map(({ name }) => name);
  const free = uniqueNames(stored);
  const expressions = new Map<string, string>();
  for (const choice of options.choices) {
    if (stored.includes(choice.column)) {
      const label = `${labelSql(table, choice, options.language)} AS ${quote(free(`${choice.column}_label`))}`;
      expressions.set(choice.column, label);
    }
  }
  for (const key of table.foreignKeys) {
    const name = nameSql(key, options.synced);
    if (name !== undefined && stored.includes(key.column) && !expressions.has(key.column)) {
      const as = key.column.startsWith('_') ? key.column.replace(/_value$/, '_name') : `${key.column}_name`;
      expressions.set(key.column, `${name} AS ${quote(free(as))}`);
    }
  }
  // The result of a query has as many columns as a table at most. A very wide table is shown with fewer labels.
  let room = maxColumns - stored.length;
  const columns = stored.flatMap((column) => {
    const beside = room > 0 ? expressions.get(column) : undefined;
    if (beside !== undefined) room -= 1;
    return beside === undefined ? [`t.${quote(column)}`] : [`t.${quote(column)}`, beside];
  });
  const name = quote(`${table.name}_labelled`);
  return [
    `DROP VIEW IF EXISTS ${name}`,
    `CREATE VIEW ${name} AS SELECT\n  ${columns.join(',\n  ')}\nFROM ${quote(table.name)} AS t`,
  ];
}

/**
 * The view `<table>_choice_values`: one row for each chosen value of a multi-select column (`<key>, column_name, value,
 * label`), so that queries need not split texts. Only the DROP statement if the table has no such column.
 */
export function choiceValuesViewSql(table: Table, options: LabelledViewOptions): string[] {
  const name = quote(`${table.name}_choice_values`);
  const key = quote(table.primaryKey);
  const selects = options.choices
    .filter(
      ({ column, multiple }) => multiple && table.columns.some((candidate) => candidate.name === column),
    )
    .map(
      ({ column }) =>
        `SELECT t.${key} AS ${key}, ${quoteText(column)} AS column_name, v.value AS value, ${choiceSql(table, column, 'v.value', options.language)} AS label FROM ${quote(table.name)} AS t, ${valuesSql(column)} AS v`,
    );
  const drop = `DROP VIEW IF EXISTS ${name}`;
  return selects.length === 0 ? [drop] : [drop, `CREATE VIEW ${name} AS\n${selects.join('\nUNION ALL\n')}`];
}

function labelSql(table: Table, { column, multiple }: ChoiceColumn, language?: number): string {
  if (!multiple) return choiceSql(table, column, `t.${quote(column)}`, language);
  const labels = `SELECT ${choiceSql(table, column, 'v.value', language)} AS label FROM ${valuesSql(column)} AS v ORDER BY v.key`;
  return `(SELECT group_concat(label, '; ') FROM (${labels}))`;
}

/** The codes of a multi-select column as rows: `1,3` in brackets is a JSON array. Any other text gives no rows. */
function valuesSql(column: string): string {
  const array = `'[' || t.${quote(column)} || ']'`;
  return `json_each(CASE WHEN json_valid(${array}) THEN ${array} END)`;
}

/** Two lookups by primary key, because sorting the languages of each value takes twice the time. */
function choiceSql(table: Table, column: string, value: string, language = defaultLanguage): string {
  const label = (rest: string) =>
    `(SELECT c.label FROM "_choices" AS c WHERE c.table_name = ${quoteText(table.name)} AND c.column_name = ${quoteText(column)} AND c.value = ${value}${rest})`;
  return `coalesce(${label(` AND c.language = ${language}`)}, ${label(' ORDER BY c.language LIMIT 1')})`;
}

function nameSql({ column, targets, typeColumn }: ForeignKey, synced: readonly Table[]): string | undefined {
  const named = synced.filter((t) => targets.includes(t.logicalName) && t.primaryName !== undefined);
  if (named.length === 0) return undefined;
  const lookup = (target: Table) =>
    `(SELECT n.${quote(target.primaryName!)} FROM ${quote(target.name)} AS n WHERE n.${quote(target.primaryKey)} = t.${quote(column)})`;
  if (named.length === 1) return lookup(named[0]!);
  if (typeColumn === undefined) return `coalesce(${named.map(lookup).join(', ')})`;
  const cases = named.map((target) => `WHEN ${quoteText(target.logicalName)} THEN ${lookup(target)}`);
  return `CASE t.${quote(typeColumn)} ${cases.join(' ')} END`;
}

function uniqueNames(taken: Iterable<string>): (name: string) => string {
  const seen = new Set([...taken].map((name) => name.toLowerCase()));
  return (name) => {
    let unique = name;
    for (let n = 2; seen.has(unique.toLowerCase()); n++) unique = `${name}_${n}`;
    seen.add(unique.toLowerCase());
    return unique;
  };
}
