import { ConfigurationError } from '../../errors.ts';

/**
 * Builds the parts of a Web API URL. Names come from settings and metadata and are validated; values are
 * encoded.
 */

/** An entity set, logical name or column name: letters, digits and underscores, and the dots of annotations. */
const namePattern = /^[A-Za-z_][\w.]{0,200}$/;

/** Returns the name. @throws ConfigurationError for anything that could be more than a name in a URL */
export function checkName(name: string, what: string): string {
  if (namePattern.test(name)) return name;
  const hint = 'Names consist of letters, digits and underscores.';
  const text = `${JSON.stringify(name.slice(0, 60))} is not a valid ${what}`;
  throw new ConfigurationError(text, { object: what, hint });
}

const guidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether an id is a GUID without braces. */
export function isGuid(id: string): boolean {
  return guidPattern.test(id);
}

/** Returns the id. @throws ConfigurationError for anything but a GUID without braces */
function checkGuid(id: string): string {
  if (guidPattern.test(id)) return id;
  const hint = 'Row ids look like 00000000-0000-0000-0000-000000000001.';
  throw new ConfigurationError('A row id must be a GUID', { object: 'row id', hint });
}

/** Percent-encodes the value of a query option, except characters that RFC 3986 allows in a query: URLs stay short and readable. */
export function encodeValue(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/%(2C|3A|2F|24|40)/g, (encoded) =>
    decodeURIComponent(encoded),
  );
}

/** An OData string literal, with single quotes doubled: `'O''Brian'`. */
export function stringLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export interface QueryOptions {
  select?: readonly string[] | undefined;
  filter?: string | undefined;
  orderBy?: string | undefined;
  top?: number | undefined;
  /** `primarycontactid($select=fullname)`, in OData's own syntax. */
  expand?: string | undefined;
  /** `aggregate(revenue with sum as total)`, in OData's own syntax. */
  apply?: string | undefined;
  /** Whether the first page states the number of rows, at most 5,000. */
  count?: boolean | undefined;
}

/** `accounts?$select=name&$filter=statecode%20eq%200` */
export function queryPath(entitySet: string, options: QueryOptions = {}): string {
  return checkName(entitySet, 'entity set name') + queryString(options);
}

/** `?$select=name&$top=1`, or an empty string. */
export function queryString(options: QueryOptions): string {
  const { select, filter, orderBy, top, expand, apply, count } = options;
  const parts: string[] = [];
  if (select?.length) parts.push(`$select=${select.map((name) => checkName(name, 'column name')).join(',')}`);
  if (filter !== undefined) parts.push(`$filter=${encodeValue(filter)}`);
  if (orderBy !== undefined) parts.push(`$orderby=${encodeValue(orderBy)}`);
  if (expand !== undefined) parts.push(`$expand=${encodeValue(expand)}`);
  if (apply !== undefined) parts.push(`$apply=${encodeValue(apply)}`);
  if (count) parts.push('$count=true');
  if (top !== undefined) parts.push(`$top=${top}`);
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** The preference that asks for annotations; undefined for none. */
export function annotationsPreference(annotations: readonly string[] | undefined): string | undefined {
  if (!annotations?.length) return undefined;
  const names = annotations.map((name) => name.replace(/[^\w.*@-]/g, ''));
  return `odata.include-annotations="${names.join(',')}"`;
}

/** A row's GUID, or the columns of an alternate key with their values. */
export type RowKey =
  | string
  | Readonly<Record<string, string | number | bigint | boolean | { readonly rawJSON: string }>>;

/** One row of one table, by id. */
export interface RowReference {
  entitySet: string;
  id: string;
}

/**
 * `accounts(00000000-…)` or `contacts(emailaddress1='a%40b.c',_parentcustomerid_value=…)`.
 * A lookup in an alternate key is addressed by its property name, `_x_value`, and a GUID without quotes
 * (learn.microsoft.com: "Use an alternate key to reference a record").
 */
export function rowPath(entitySet: string, key: RowKey): string {
  const set = checkName(entitySet, 'entity set name');
  if (typeof key === 'string') return `${set}(${checkGuid(key)})`;
  const parts = Object.entries(key).map(([name, value]) => {
    const isBare = typeof value !== 'string' || (/^_.*_value$/.test(name) && guidPattern.test(value));
    const bare = typeof value === 'object' ? value.rawJSON : String(value);
    const literal = isBare ? bare : stringLiteral(value);
    return `${checkName(name, 'column name')}=${encodeURIComponent(literal.toWellFormed())}`;
  });
  return `${set}(${parts.join(',')})`;
}
