import { type Column, columnIndex, type Table } from '../metadata/model.ts';
import { isLookup, type Row, type Value } from '../rows/values.ts';

/** Whether a request wants an annotation, by its full name. */
export type WantsAnnotation = (name: string) => boolean;

export const formattedValue = 'OData.Community.Display.V1.FormattedValue';
const lookupLogicalName = 'Microsoft.Dynamics.CRM.lookuplogicalname';
const associatedNavigation = 'Microsoft.Dynamics.CRM.associatednavigationproperty';

/** Finds the name of the row that a lookup points to. */
type NameOf = (table: string, id: string) => string | undefined;

/**
 * Returns a function that writes a row as JSON: the ETag, then the chosen columns in the table's order, with
 * nulls. Decimals keep their trailing zeros and 64-bit integers all their digits.
 */
export function rowWriter(
  table: Table,
  chosen: readonly number[],
  wants: WantsAnnotation,
  nameOf: NameOf,
): (row: Row) => string {
  const wantsFormatted = wants(formattedValue);
  const wantsTarget = wants(lookupLogicalName);
  const wantsNavigation = wants(associatedNavigation);
  const fields = chosen.map((position) => {
    const column = table.columns[position]!;
    return { position, column, key: `,${JSON.stringify(column.name)}:`, print: printer(column) };
  });
  return (row) => {
    let json = `{"@odata.etag":"W/\\"${row.version}\\""`;
    const ascii = escapesNonAscii(row);
    for (const { position, column, key, print } of fields) {
      const value = row.values[position] ?? null;
      if (value === null || column.secured === 'hidden') {
        json += `${key}null`;
        continue;
      }
      if (wantsFormatted) {
        const label = formatted(column, value, nameOf);
        if (label !== undefined) json += annotation(column, formattedValue, label);
      }
      if (isLookup(value)) {
        if (wantsNavigation) {
          const navigation = column.targets?.find((target) => target.table === value.table)?.navigation;
          json += annotation(column, associatedNavigation, navigation ?? column.logicalName);
        }
        if (wantsTarget) json += annotation(column, lookupLogicalName, value.table);
      }
      json += key + print(value, ascii);
    }
    return `${json}}`;
  };
}

function annotation(column: Column, name: string, value: string): string {
  return `,"${column.name}@${name}":${JSON.stringify(value)}`;
}

/** JSON may escape characters outside ASCII or not. Half of the rows do, so that readers meet both forms. */
function escapesNonAscii(row: Row): boolean {
  return (row.id.charCodeAt(35) & 1) === 1;
}

/** A value as JSON, with all its digits. */
export function printValue(column: Column, value: Value): string {
  return value === null ? 'null' : printer(column)(value, false);
}

type Print = (value: Value, ascii: boolean) => string;

function printer(column: Column): Print {
  switch (column.type) {
    case 'Edm.Decimal':
    case 'Edm.Int64':
    case 'Edm.Int32':
    case 'Edm.Int16':
    case 'Edm.Byte':
    case 'Edm.Boolean':
      return String;
    case 'Edm.Double':
    case 'Edm.Single':
      return (value) => JSON.stringify(value);
    case 'Edm.Guid':
      return (value) => `"${isLookup(value) ? value.id : value}"`;
    case 'Edm.String':
      return printText;
    default:
      return (value) =>
        JSON.stringify(typeof value === 'object' && value !== null && 'json' in value ? value.json : value);
  }
}

const nonAscii = /[^\0-\x7f]/;
const eachNonAscii = /[^\0-\x7f]/g;

function printText(value: Value, ascii: boolean): string {
  const json = JSON.stringify(value);
  if (!ascii || !nonAscii.test(json)) return json;
  return json.replace(eachNonAscii, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function formatted(column: Column, value: Value, nameOf: NameOf): string | undefined {
  if (isLookup(value)) return nameOf(value.table, value.id);
  if (column.choice !== undefined) return choiceLabel(column, value);
  switch (column.type) {
    case 'Edm.DateTimeOffset':
      return new Date(value as string).toLocaleString('en-US', { timeZone: 'UTC' });
    case 'Edm.Date':
      return new Date(value as string).toLocaleDateString('en-US', { timeZone: 'UTC' });
    case 'Edm.Decimal':
      return Number(value).toLocaleString('en-US', { minimumFractionDigits: 2 });
    case 'Edm.Double':
    case 'Edm.Int32':
    case 'Edm.Int64':
      return (value as number | bigint).toLocaleString('en-US');
    default:
      return undefined;
  }
}

function choiceLabel(column: Column, value: Value): string | undefined {
  const labels = new Map(column.choice!.options.map((option) => [String(option.value), option.label]));
  if (typeof value === 'boolean') return labels.get(value ? '1' : '0');
  const chosen = String(value).split(',');
  return chosen.map((code) => labels.get(code) ?? code).join('; ');
}

/** The positions of the columns that `$select` names and, as in the service, of the primary id. */
export function chosenColumns(table: Table, select: readonly string[] | undefined): number[] {
  if (select === undefined) return table.columns.map((_, position) => position);
  const chosen = new Set(select.map((name) => columnIndex(table, name)));
  chosen.add(columnIndex(table, table.primaryId));
  return [...chosen].sort((a, b) => a - b);
}
