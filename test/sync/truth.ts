import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';

/**
 * Reads all rows from the sample Dataverse over HTTP without the product's code: plain fetch, and JSON.parse that keeps
 * the text of numbers.
 */
export type TruthRow = Record<string, unknown>;

/** A JSON number with its text, so that 64-bit integers are compared exactly. */
export class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export async function readTruth(url: string, entitySet: string): Promise<TruthRow[]> {
  const rows: TruthRow[] = [];
  let link: string | undefined = `${url}/api/data/v9.2/${entitySet}`;
  while (link !== undefined) {
    const response: Response = await fetch(link, {
      headers: {
        authorization: 'Bearer test',
        prefer: 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"',
      },
    });
    if (!response.ok) throw new Error(`${entitySet}: ${response.status} ${await response.text()}`);
    const page = parseExactly(await response.text()) as { value: TruthRow[]; '@odata.nextLink'?: string };
    rows.push(...page.value);
    link = page['@odata.nextLink'];
  }
  return rows;
}

function parseExactly(text: string): unknown {
  return JSON.parse(text, ((_key: string, value: unknown, context: { source?: string }) =>
    typeof value === 'number' ? new NumberText(context.source!) : value) as never);
}

export interface TruthTable {
  entitySet: string;
  primaryKey: string;
}

/** Opens database bytes with an independent SQLite build. */
export function withDatabase<T>(bytes: Uint8Array, work: (db: DatabaseSync) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'mirror-'));
  const file = join(folder, 'mirror.db');
  writeFileSync(file, bytes);
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return work(db);
  } finally {
    db.close();
    rmSync(folder, { recursive: true });
  }
}

/**
 * Differences between a table of the database and the truth, as sentences; empty if they are equal.
 * @param options `marks`: rows with `_deleted_at` do not count
 */
export function differences(
  db: DatabaseSync,
  table: TruthTable,
  truth: readonly TruthRow[],
  options: { marks?: boolean } = {},
): string[] {
  const found: string[] = [];
  const live = options.marks ? ' WHERE _deleted_at IS NULL' : '';
  const statement = db.prepare(`SELECT * FROM "${table.entitySet}"${live}`);
  statement.setReadBigInts(true);
  const rows = new Map((statement.all() as TruthRow[]).map((row) => [String(row[table.primaryKey]), row]));
  const seen = new Set<string>();
  for (const expected of truth) {
    const id = String(expected[table.primaryKey]).toLowerCase();
    seen.add(id);
    const row = rows.get(id);
    if (row === undefined) {
      found.push(`${table.entitySet} ${id} is missing`);
      continue;
    }
    for (const [property, value] of Object.entries(expected)) {
      const column = columnOf(property);
      if (column === undefined) continue;
      if (!(column in row)) {
        if (!column.endsWith('_type')) found.push(`${table.entitySet} has no column ${column}`);
      } else if (!equal(row[column], value)) {
        found.push(`${table.entitySet} ${id} ${column}: ${show(row[column])} is not ${show(value)}`);
      }
      // An empty lookup comes without an annotation. The column must not keep an old one.
      const type = column.replace(/_value$/, '_type');
      if (value === null && type !== column && type in row && row[type] !== null) {
        found.push(`${table.entitySet} ${id} ${type}: ${show(row[type])} stands beside an empty lookup`);
      }
    }
  }
  for (const id of rows.keys()) if (!seen.has(id)) found.push(`${table.entitySet} ${id} should not be there`);
  return found;
}

/** The column of a JSON property; undefined for annotations that are not mirrored. */
function columnOf(property: string): string | undefined {
  const at = property.indexOf('@');
  if (at < 0) return property;
  if (property.endsWith('@Microsoft.Dynamics.CRM.lookuplogicalname')) {
    return property.slice(0, at).replace(/_value$/, '_type');
  }
  return undefined;
}

function equal(actual: unknown, expected: unknown): boolean {
  if (expected === null || expected === undefined) return actual === null;
  if (typeof expected === 'boolean') return actual === (expected ? 1n : 0n);
  if (expected instanceof NumberText) {
    if (typeof actual === 'bigint') return actual === BigInt(expected.text);
    if (typeof actual === 'number') return actual === Number(expected.text);
    return actual === expected.text;
  }
  if (typeof expected === 'string') {
    if (actual instanceof Uint8Array) return Buffer.from(actual).equals(Buffer.from(expected, 'base64'));
    if (actual === expected) return true;
    return /^[0-9a-f-]{36}$/i.test(expected) && actual === expected.toLowerCase();
  }
  // Without the order of members, which PostgreSQL does not keep.
  return typeof actual === 'string' && isDeepStrictEqual(JSON.parse(actual), plain(expected));
}

/** Numbers as JSON.parse returns them, to compare nested values. */
function plain(value: unknown): unknown {
  if (value instanceof NumberText) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  }
  return value;
}

function show(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (typeof value === 'bigint') return String(value);
  return JSON.stringify(value)?.slice(0, 80) ?? String(value);
}
