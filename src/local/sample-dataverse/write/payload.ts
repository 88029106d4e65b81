import { setAndKey } from '../http/path.ts';
import { badRequest, noSuchProperty, type ServiceError } from '../http/service-error.ts';
import { type Column, columnIndex, type LookupTarget, type Table } from '../metadata/model.ts';
import { findRow } from '../query/row-key.ts';
import { isGuid } from '../rows/guid.ts';
import type { RowValues, Store } from '../rows/store.ts';
import { dateTimeText, type Lookup, type Value } from '../rows/values.ts';

/** A JSON number as it was written. Decimals and 64-bit integers would lose digits as doubles. */
export class NumberText {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

export type Payload = Record<string, unknown>;

/** Parses a request's JSON body. */
export function parsePayload(body: Buffer): Payload {
  const invalid = (): ServiceError =>
    badRequest('Error identified in Payload provided by the user: invalid JSON.', '0x80048d19');
  let parsed: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    parsed = JSON.parse(text, keepDigits);
  } catch {
    throw invalid();
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw invalid();
  return parsed as Payload;
}

function keepDigits(_key: string, value: unknown, context?: { source: string }): unknown {
  return typeof value === 'number' && context !== undefined ? new NumberText(context.source) : value;
}

/** Checks a row's payload as the service does and converts it to values. Ignores columns that only the service sets. */
export function rowValues(store: Store, table: Table, payload: Payload): RowValues {
  const values: RowValues = {};
  for (const [name, value] of Object.entries(payload)) {
    const bind = /^(.+)@odata\.bind$/.exec(name)?.[1];
    if (bind !== undefined) Object.assign(values, bound(store, table, bind, value));
    else if (!name.includes('@')) assign(values, table, name, value);
  }
  return values;
}

function assign(values: RowValues, table: Table, name: string, value: unknown): void {
  const index = columnIndex(table, name);
  if (index < 0) throw noSuchProperty(name, table.logicalName);
  const column = table.columns[index]!;
  if (column.targets !== undefined) {
    throw badRequest(
      'CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.',
    );
  }
  if (column.readOnly) return;
  values[name] = value === null ? null : checked(table, column, value);
}

/** The lookup that `primarycontactid@odata.bind` sets. The name of a navigation property is case-sensitive. */
function bound(store: Store, table: Table, navigation: string, value: unknown): RowValues {
  for (const column of table.columns) {
    const target = column.targets?.find((each) => each.navigation === navigation);
    if (target !== undefined)
      return { [column.name]: value === null ? null : reference(store, target, value) };
  }
  throw payloadError(
    table,
    `An undeclared property '${navigation}' which only has property annotations in the payload but no property value was found in the payload. In OData, only declared navigation properties and declared named streams can be represented as properties without values.`,
  );
}

/** The row that a URL names, checked against the lookup's target. */
function reference(store: Store, target: LookupTarget, value: unknown): Lookup {
  const found = typeof value === 'string' ? referencedRow(store, value) : undefined;
  const fits =
    found !== undefined &&
    store.model.family(store.table(target.table)).some((member) => member.logicalName === found.table);
  if (!fits) {
    throw badRequest(`Invalid reference to a row of ${target.table}.`, '0x80048d19');
  }
  return found;
}

/** The row that `/accounts(<id>)` or `https://…/accounts(key='value')` names. */
export function referencedRow(store: Store, url: string): Lookup | undefined {
  const segment = decodeURIComponent(url)
    .replace(/^.*\/api\/data\/v9\.\d/s, '')
    .replace(/^\//, '');
  const { name, key } = setAndKey(segment);
  const table = store.model.bySet(name);
  if (table === undefined || key === undefined) return undefined;
  return { id: findRow(store, table, key).id, table: table.logicalName };
}

/** A value, checked against its column. */
function checked(table: Table, column: Column, value: unknown): Value {
  const given = value instanceof NumberText ? value.digits : value;
  const isNumber = value instanceof NumberText;
  switch (column.type) {
    case 'Edm.String':
      if (typeof value !== 'string') throw unfit(table, column, given);
      return checkedText(table, column, value);
    case 'Edm.Boolean':
      if (typeof value !== 'boolean') throw unfit(table, column, given);
      return value;
    case 'Edm.Guid':
      if (typeof value !== 'string' || !isGuid(value)) throw unfit(table, column, given);
      return value.toLowerCase();
    case 'Edm.Int16':
    case 'Edm.Int32':
      if (!isNumber || !/^-?\d+$/.test(value.digits)) throw unfit(table, column, given);
      return checkedInteger(table, column, Number(value.digits));
    case 'Edm.Int64':
      if (!/^-?\d+$/.test(String(given))) throw unfit(table, column, given);
      return BigInt(String(given));
    case 'Edm.Decimal':
      if (!isNumber) throw unfit(table, column, given);
      return checkedDecimal(table, column, value.digits);
    case 'Edm.Double':
      if (!isNumber) throw unfit(table, column, given);
      return Number(value.digits);
    case 'Edm.Date':
      if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(value)) throw unfit(table, column, given);
      return value;
    case 'Edm.DateTimeOffset':
      return checkedDateTime(table, column, given);
    default:
      return typeof value === 'string' ? value : { json: plain(value) };
  }
}

function checkedText(table: Table, column: Column, value: string): string {
  if (column.maxLength !== undefined && value.length > column.maxLength) {
    throw badRequest(
      `A validation error occurred.  The length of the '${column.name}' attribute of the '${table.logicalName}' entity exceeded the maximum allowed length of '${column.maxLength}'.`,
      '0x80044331',
    );
  }
  return value;
}

function checkedInteger(table: Table, column: Column, value: number): number {
  const options = column.choice?.options.map((option) => option.value);
  if (options !== undefined && !options.includes(value)) {
    throw badRequest(
      `A validation error occurred. The value ${value} of '${column.name}' on record of type '${table.logicalName}' is outside the valid range. Accepted Values: ${options.join(',')}`,
      '0x8004431A',
    );
  }
  if (value > 2_147_483_647 || value < -2_147_483_648) throw unfit(table, column, value);
  return value;
}

/** Rounds to the column's scale, as the service does. Rejects a number that exceeds the column's precision. */
function checkedDecimal(table: Table, column: Column, digits: string): string {
  const scale = column.scale ?? 10;
  const precision = column.precision ?? 23;
  const text = /[eE]/.test(digits) ? Number(digits).toFixed(Math.min(20, scale)) : digits;
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const kept = BigInt(whole + fraction.slice(0, scale).padEnd(scale, '0'));
  const rounded = Number(fraction[scale] ?? '0') >= 5 ? kept + 1n : kept;
  const padded = String(rounded).padStart(scale + 1, '0');
  if (padded.length > precision) {
    throw badRequest(
      `A validation error occurred. The value of '${column.name}' on record of type '${table.logicalName}' is outside the valid range.`,
      '0x80044330',
    );
  }
  const sign = text.startsWith('-') && rounded !== 0n ? '-' : '';
  return scale === 0 ? sign + padded : `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

const earliest = Date.UTC(1753, 0, 1);

function checkedDateTime(table: Table, column: Column, given: unknown): string {
  const moment = typeof given === 'string' ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(moment)) throw unfit(table, column, given);
  if (moment < earliest) {
    throw badRequest(
      `DateTime is less than minumum value supported by CrmDateTime. Actual value: ${String(given)}, Minimum value supported: 01/01/1753 00:00:00`,
      '0x80040239',
    );
  }
  return dateTimeText(new Date(moment));
}

function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each) => (each instanceof NumberText ? Number(each.digits) : each)),
  );
}

function unfit(table: Table, column: Column, value: unknown): ServiceError {
  return payloadError(
    table,
    `Cannot convert the literal '${String(value).slice(0, 100)}' to the expected type '${column.type}'.`,
  );
}

function payloadError(table: Table, inner: string): ServiceError {
  return badRequest(
    `Error identified in Payload provided by the user for Entity :'${table.entitySetName}', For more information on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : Microsoft.OData.ODataException: ${inner}`,
    '0x80048d19',
  );
}
