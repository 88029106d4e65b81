import { ConfigurationError } from '../../errors.ts';

/**
 * Parts of a Web API URL. Names are checked, since they come from settings and metadata and go into
 * URLs; values are encoded.
 */

/** An entity set, logical or column name: letters, digits and underscores; for columns also an annotation's dots. */
const namePattern = /^[A-Za-z_][\w.]{0,200}$/;

/** @throws ConfigurationError for anything that could be more than a name in a URL */
export function checkName(name: string, what: string): string {
  if (namePattern.test(name)) return name;
  const hint = 'Names consist of letters, digits and underscores.';
  throw new ConfigurationError(`${JSON.stringify(name.slice(0, 60))} is no ${what}`, { object: what, hint });
}

const guidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isGuid(text: string): boolean {
  return guidPattern.test(text);
}

/** @throws ConfigurationError for anything but a GUID without braces */
export function checkGuid(id: string): string {
  if (isGuid(id)) return id;
  const hint = 'Row ids look like 00000000-0000-0000-0000-000000000001.';
  throw new ConfigurationError('A row id is no GUID', { object: 'row id', hint });
}

/** Percent-encodes a query option's value, but leaves what RFC 3986 allows in a query: links stay short and legible. */
export function encodeValue(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/%(2C|3A|2F|24|40)/g, (encoded) =>
    decodeURIComponent(encoded),
  );
}

/** A string literal of OData, single quotes doubled: `'O''Brian'`. */
export function stringLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export interface QueryOptions {
  select?: readonly string[] | undefined;
  filter?: string | undefined;
  orderBy?: string | undefined;
  top?: number | undefined;
}

/** `accounts?$select=name&$filter=statecode%20eq%200` */
export function queryPath(entitySet: string, options: QueryOptions = {}): string {
  return checkName(entitySet, 'entity set name') + queryString(options);
}

/** `?$select=name&$top=1`, or nothing. */
export function queryString({ select, filter, orderBy, top }: QueryOptions): string {
  const parts: string[] = [];
  if (select?.length) parts.push(`$select=${select.map((name) => checkName(name, 'column name')).join(',')}`);
  if (filter !== undefined) parts.push(`$filter=${encodeValue(filter)}`);
  if (orderBy !== undefined) parts.push(`$orderby=${encodeValue(orderBy)}`);
  if (top !== undefined) parts.push(`$top=${top}`);
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** A row's GUID, or the columns of an alternate key with their values. */
export type RowKey = string | Readonly<Record<string, string | number | boolean>>;

/**
 * `accounts(00000000-…)` or `contacts(emailaddress1='a%40b.c',_parentcustomerid_value=…)`.
 * A lookup in an alternate key goes by its property name, `_x_value`, with a bare GUID
 * (learn.microsoft.com: "Use an alternate key to reference a record").
 */
export function rowPath(entitySet: string, key: RowKey): string {
  const set = checkName(entitySet, 'entity set name');
  if (typeof key === 'string') return `${set}(${checkGuid(key)})`;
  const parts = Object.entries(key).map(([name, value]) => {
    const bare = typeof value !== 'string' || (/^_.*_value$/.test(name) && isGuid(value));
    const literal = bare ? String(value) : stringLiteral(value);
    return `${checkName(name, 'column name')}=${encodeURIComponent(literal.toWellFormed())}`;
  });
  return `${set}(${parts.join(',')})`;
}
