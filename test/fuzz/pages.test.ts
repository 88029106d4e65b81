import fc from 'fast-check';
import { afterAll, describe, expect } from 'vitest';
import { deltaTokenVersion, isDeltaLink, parseTombstone } from '../../src/dataverse/read/change-tracking.ts';
import {
  InStreamError,
  type Page,
  PageFormatError,
  parseRows,
  scanPage,
} from '../../src/dataverse/read/page.ts';
import { LinkGuard } from '../../src/dataverse/transport/link-guard.ts';
import { RetriableError, SyncError } from '../../src/errors.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { ofType } from '../../src/schema/column-types.ts';
import type { Column } from '../../src/schema/table.ts';
import { Shard } from '../../src/sqlite/shard.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { rowVersion } from '../../src/sync/fetch/row-version.ts';
import { fuzz } from './fuzz.ts';
import { type Mutant, mutants, noise } from './mutations.ts';

/** Pages of Dataverse, damaged. Whatever arrives is read as JSON.parse reads it, or rejected with a typed error. */

const pages = await samplePages();
const tokens = [
  // One a line: what means something in a page.
  ...String.raw`{
}
[
]
"
:
,
\
\u0000
\ud800
1e999
-0
0.1
9007199254740993
null
true
{}
[]
""
"value":[
"value" : []
,"value":[]
"error":{"code":"1"}
]}
},{
"@odata.nextLink":"x",
"@odata.deltaLink":5,
"@odata.context":"x#y",
"@removed":{},
$deletedEntity
"__proto__":{"polluted":1},
"accountid":null,
"accountid":{"a":[1]},
"id":"
W/\"
(
)`.split('\n'),
  ...['\uFEFF', '\n', ' ', '\u0000'],
];
const damaged = mutants(pages, tokens);

/** Pages as Dataverse sends them: with links, annotations, tombstones, difficult values; short and long. */
async function samplePages(): Promise<Record<string, Buffer>> {
  const sample = await startSampleDataverse({ rows: 60 });
  const read = async (path: string, prefer: string): Promise<Buffer> => {
    const url = path.startsWith('http') ? path : `${sample.url}/api/data/v9.2/${path}`;
    const headers = { authorization: 'Bearer test', prefer };
    return Buffer.from(await (await fetch(url, { headers })).arrayBuffer());
  };
  try {
    const annotations = 'odata.include-annotations="*"';
    const tracked = await read('accounts', 'odata.track-changes,odata.maxpagesize=5000');
    const link = scanPage(tracked).deltaLink!;
    sample.store.create('account', { name: 'new' });
    const gone = parseRows(scanPage(tracked)).slice(0, 2);
    for (const { accountid } of gone) sample.store.delete('account', String(accountid));
    return {
      'a page with a next link': await read('accounts', `odata.maxpagesize=2,${annotations}`),
      'a page of contacts': await read('contacts?$top=3', annotations),
      'an empty page': await read("accounts?$filter=name eq 'none'&$select=name", ''),
      'a delta': await read(link, 'odata.maxpagesize=5000'),
      'a long page': tracked,
    };
  } finally {
    await sample.stop();
  }
}

const columns: Column[] = (
  [
    ['accountid', 'guid'],
    ['name', 'text'],
    ['revenue', 'real'],
    ['numberofemployees', 'integer'],
    ['donotphone', 'boolean'],
  ] as const
).map(([name, type]) => ({ name, property: name, edmType: '', ...ofType(type) }));

const sqlite = await loadSqlite();
const shard = Shard.create(sqlite);
const writer = shard.recordWriter('rows', {
  columns,
  primaryKey: 'accountid',
  version: rowVersion,
  keyless: parseTombstone,
});
afterAll(() => shard.close());

/** What JSON.parse makes of a page; undefined for what is not JSON. Of members with one name, it keeps the last. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString().replace(/^\uFEFF/, ''));
  } catch {
    return undefined;
  }
}

/** How many rows and deletions the shard had before the page. */
let before = 0;

/** Reads a page as a sync does. @returns its rows or the error */
function read(bytes: Buffer): { page?: Page; rows?: Record<string, unknown>[]; error?: unknown } {
  before = writer.rows + writer.deleted;
  let page: Page;
  try {
    page = scanPage(Buffer.from(bytes));
  } catch (error) {
    return { error };
  }
  // The two ways to read rows agree, except on rows without a key, which only tables need.
  const [rows, parsing] = attempt(() => parseRows(page));
  const [, writing] = attempt(() => writer.write(page.body, page.recordsStart, page.recordsEnd));
  if (parsing !== undefined) expect(writing).toBeInstanceOf(RetriableError);
  return { page, rows, error: parsing ?? writing };
}

function attempt<T>(work: () => T): [result?: T, error?: unknown] {
  try {
    return [work()];
  } catch (error) {
    return [undefined, error];
  }
}

/** How many rows and deletions the page added to the shard. */
function written(): number {
  const sql = 'SELECT (SELECT count(*) FROM rows) + (SELECT count(*) FROM deleted) AS n';
  return shard.db.get<{ n: number }>(sql)!.n - before;
}

/** Whether each record is one that a table can hold: an object with a key, or a deletion. */
function areRecords(rows: readonly unknown[]): rows is Record<string, unknown>[] {
  return rows.every((row) => {
    if (row === null || typeof row !== 'object' || Array.isArray(row)) return false;
    const { accountid } = row as Record<string, unknown>;
    if (accountid !== undefined && accountid !== null) return true;
    return parseTombstone(Buffer.from(JSON.stringify(row))) !== undefined;
  });
}

function check(mutant: Mutant): void {
  const { page, rows, error } = read(mutant.bytes);
  const whole = parsed(mutant.bytes) as Record<string, unknown> | undefined;
  if (error !== undefined) {
    const isTyped = [PageFormatError, InStreamError, RetriableError].some((Class) => error instanceof Class);
    if (!isTyped) throw error;
    expect(written()).toBe(0);
    // What is JSON, and has what a page needs, is not rejected.
    const isPage =
      whole !== undefined &&
      Array.isArray(whole?.['value']) &&
      areRecords(whole['value']) &&
      !('error' in whole);
    if (isPage) expect(String(error)).toMatch(/"value" more than once|has no accountid/);
    return;
  }
  expect(whole).toBeDefined();
  expect(rows).toEqual(whole!['value']);
  const nextLink = whole!['@odata.nextLink'] ?? whole!['@nextLink'];
  expect(page!.nextLink).toBe(typeof nextLink === 'string' ? nextLink : undefined);
  expect(written()).toBe(rows!.length);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
}

describe('pages', () => {
  fuzz(
    'that are damaged are read as JSON.parse reads them, or rejected',
    damaged,
    { seed: 1, runs: 300 },
    check,
  );

  fuzz('of random bytes or tokens are rejected', noise(tokens), { seed: 2, runs: 150 }, check);

  const ids = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[a-z]*\(?['0-9a-f-]{0,40}\)?$/),
    fc.jsonValue(),
  );
  const record = fc.dictionary(
    fc.constantFrom(
      'id',
      '@id',
      '@odata.id',
      '@removed',
      '@odata.removed',
      '@odata.context',
      'name',
      '__proto__',
    ),
    fc.oneof(
      ids,
      fc.constantFrom('x/$metadata#accounts/$deletedEntity', '#$deletedEntity', '$deletedEntity'),
    ),
  );
  fuzz('hold ids of any form', record, { seed: 3, runs: 150 }, (row) => {
    const found = parseTombstone(Buffer.from(JSON.stringify(row)));
    if (found === undefined) return;
    expect(found.id).not.toBe('');
    expect(found.id).toBe(found.id.toLowerCase());
  });

  const origin = 'https://contoso.crm.dynamics.com';
  const links = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          origin,
          'https://',
          '//',
          '/',
          '\\',
          '@',
          ':',
          '?',
          '#',
          '..',
          'evil.example',
          '%2f',
          '\t',
          '\r\n',
          '\0',
        ),
        fc.constantFrom(
          'accounts',
          '$skiptoken=1',
          '$deltatoken=',
          '%24deltatoken=919042%21',
          '08%2F22%2F2017',
          'javascript:',
          '&',
        ),
        fc.string({ unit: 'binary', maxLength: 6 }),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(''));
  fuzz('hold links that stay at the origin or are rejected', links, { seed: 4, runs: 250 }, (link) => {
    isDeltaLink(link);
    deltaTokenVersion(link);
    let followed: string;
    try {
      followed = new LinkGuard(origin, 'accounts').follow(link, `${origin}/api/data/v9.2/`, 1);
    } catch (error) {
      expect(error).toBeInstanceOf(SyncError);
      return;
    }
    const { origin: to, username, password } = new URL(followed);
    expect([to, username, password]).toEqual([origin, '', '']);
  });
});
