import { afterAll, expect, it } from 'vitest';
import { parseErrorBody, shortMessage } from '../src/dataverse/errors/error-response.ts';
import { scanPage } from '../src/dataverse/read/page.ts';
import { readRecords } from '../src/metrics/contract/contract.ts';
import { safeLine, safeText } from '../src/safe-text.ts';
import { ofType } from '../src/schema/column-types.ts';
import { parseCsdl } from '../src/schema/csdl.ts';
import { resolveTables } from '../src/schema/tables-from-csdl.ts';
import { Shard } from '../src/sqlite/shard.ts';
import { loadSqlite } from '../src/sqlite/sqlite.ts';
import { rowVersion } from '../src/sync/fetch/row-version.ts';
import { labelsOf } from '../src/sync/plan/choice-labels.ts';

/*
 * Four times the input must take about four times as long. A quadratic parser takes sixteen times. Such a parser lets one
 * answer of Dataverse, or one body, hold up the whole process.
 */

const sqlite = await loadSqlite();
const shards: Shard[] = [];
afterAll(() => {
  for (const shard of shards) shard.close();
});

/** What throws is measured as well. */
function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // A refusal must be fast, too.
  }
}

/** Microseconds of processor time, of the shortest of some runs: the others were interrupted. */
function microseconds(work: () => unknown): number {
  const times = Array.from({ length: 2 }, () => {
    const before = process.cpuUsage();
    attempt(work);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  });
  return Math.min(...times);
}

const many = (n: number, one: (n: number) => string, separator = ''): string =>
  Array.from({ length: n }, (_, index) => one(index)).join(separator);

const csdl = (inner: string): string =>
  `<edmx:Edmx><edmx:DataServices><Schema Namespace="m" Alias="mscrm"><EntityType Name="account"><Key><PropertyRef Name="accountid"/></Key><Property Name="accountid" Type="Edm.Guid"/><NavigationProperty Name="n" Type="mscrm.t0"/></EntityType>${inner}<EntityContainer Name="System"><EntitySet Name="accounts" EntityType="mscrm.account"/></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`;

function metadata(inner: string): () => unknown {
  const document = csdl(inner);
  return () => resolveTables(parseCsdl(document), [], ['account']);
}

function page(body: string): () => unknown {
  const bytes = Buffer.from(body);
  return () => scanPage(bytes);
}

function rows(json: string): () => unknown {
  const body = Buffer.from(json);
  const columns = (['guid', 'json', 'text', 'integer'] as const).map((type) => ({
    ...{ name: type, property: type, edmType: '' },
    ...ofType(type),
  }));
  return () => {
    const shard = Shard.create(sqlite);
    shards.push(shard);
    const writer = shard.recordWriter('rows', {
      columns,
      primaryKey: 'guid',
      version: rowVersion,
      anyCase: true,
    });
    writer.write(body, 0, body.length);
    writer.finish();
  };
}

function records(body: string): () => unknown {
  const bytes = Buffer.from(body);
  return () => readRecords(bytes, new Date(0));
}

const id = '"guid":"00000000-0000-4000-8000-000000000000"';

/** By name: how many units to start with, and the work for so many. */
const cases: Record<string, [n: number, work: (n: number) => () => unknown]> = {
  'members before the rows': [2000, (n) => page(`{${many(n, (i) => `"k${i}":"x",`)}"value":[]}`)],
  'the word value in a text before the rows': [
    2000,
    (n) => page(`{"a":"${'\\"value\\":['.repeat(n)}","value":[]}`),
  ],
  'value before the rows, nested': [2000, (n) => page(`{"x":[${'"value":['.repeat(n)}`)],
  'nesting before the rows': [10_000, (n) => page(`{"x":${'['.repeat(n)}${']'.repeat(n)},"value":[]}`)],
  'members after the rows': [2000, (n) => page(`{"value":[]${many(n, (i) => `,"k${i}":"x"`)}}`)],
  'backslashes at the end of the rows': [500_000, (n) => page(`{"value":[{"a":"${'\\\\'.repeat(n)}"}]}`)],
  'quotes at the end of the rows': [100_000, (n) => page(`{"value":[{"a":"x"${',"b":""'.repeat(n)}}]}`)],
  'brackets in a text of the rows': [200_000, (n) => page(`{"value":[{"a":"${']}'.repeat(n)}"}]}`)],
  'a page that is cut short': [200_000, (n) => page(`{"value":[${'{"a":1},'.repeat(n)}`)],
  'rows with unknown members': [10_000, (n) => rows(`{${id}${many(n, (i) => `,"u${i}":1`)}}`)],
  'rows with one member many times': [10_000, (n) => rows(`{${id}${',"text":"x"'.repeat(n)}}`)],
  'rows with nested JSON': [25_000, (n) => rows(`{${id},"json":${'['.repeat(n)}${']'.repeat(n)}}`)],
  'rows with escapes': [100_000, (n) => rows(`{${id},"text":"${'\\u0041\\n'.repeat(n)}"}`)],
  'rows with long numbers': [
    100_000,
    (n) => rows(`{${id},"integer":1${'0'.repeat(n)}},{${id},"integer":"${'0'.repeat(n)}1 "}`),
  ],
  'annotations of types': [
    250,
    (n) =>
      metadata(
        many(
          n,
          (i) =>
            `<EntityType Name="t${i}"/><Annotations Target="mscrm.t${i}"><Annotation Term="x"/></Annotations>`,
        ),
      ),
  ],
  'a chain of base types': [
    1000,
    (n) => metadata(many(n, (i) => `<EntityType Name="t${i}" BaseType="mscrm.t${i + 1}"/>`)),
  ],
  'types derived from one': [
    1000,
    (n) =>
      metadata(
        `<EntityType Name="t0" Abstract="true"><Key><PropertyRef Name="a"/></Key><Property Name="a" Type="Edm.Guid"/></EntityType>${many(n, (i) => `<EntityType Name="d${i}" BaseType="mscrm.t0"/>`)}`,
      ),
  ],
  'navigation properties to one type': [
    1000,
    (n) =>
      metadata(
        many(
          n,
          (i) => `<EntityType Name="t${i}"><NavigationProperty Name="n" Type="mscrm.t0"/></EntityType>`,
        ),
      ),
  ],
  'columns of a type': [
    1000,
    (n) =>
      metadata(
        `<EntityType Name="t0">${many(n, (i) => `<Property Name="c${i}" Type="Edm.String"/>`)}</EntityType>`,
      ),
  ],
  'character references': [
    20_000,
    (n) => metadata(`<Annotation Term="x" String="${'&#65;&amp;'.repeat(n)}"/>`),
  ],
  'elements that do not end': [5000, (n) => metadata('<a '.repeat(n))],
  'attributes of an element': [
    5000,
    (n) => metadata(`<EntityType Name="t0" ${many(n, (i) => `a${i}="1"`, ' ')}/>`),
  ],
  'nested elements': [2000, (n) => metadata(`${'<a>'.repeat(n)}${'</a>'.repeat(n)}`)],
  'comments that do not end': [5000, (n) => metadata('<!-- '.repeat(n))],
  'options of choices': [
    10_000,
    (n) => {
      const Options = Array.from({ length: n }, (_, Value) => ({
        Value,
        Label: { LocalizedLabels: [{ Label: 'x', LanguageCode: 1033 }] },
      }));
      const columns = [{ table: 'account', definitions: [{ LogicalName: 'a', OptionSet: { Options } }] }];
      return () => labelsOf({ columns } as unknown as Parameters<typeof labelsOf>[0]);
    },
  ],
  'metrics with unknown members': [2500, (n) => records(`{${many(n, (i) => `"k${i}":1`, ',')}}`)],
  'metrics with one member many times': [10_000, (n) => records(`{${Array(n).fill('"k":1').join()}}`)],
  'metrics, nested': [20_000, (n) => records(`[${'[[[1]]],'.repeat(n)}1]`)],
  'metrics with zeros': [10_000, (n) => records(`{"costUSD":1${'0'.repeat(n)}1}`)],
  'metrics with zeros in a time': [
    10_000,
    (n) => records(`{"createdAt":"2026-11-01T00:00:00.1${'0'.repeat(n)}1Z"}`),
  ],
  'metrics with blanks': [10_000, (n) => records(`{"campaignId":"x${' '.repeat(n)}x"}`)],
  'an error message like tokens': [2000, (n) => () => shortMessage('eyJ-'.repeat(n))],
  'an error code like tokens': [
    2000,
    (n) => {
      const body = Buffer.from(JSON.stringify({ error: { code: '-eyJ'.repeat(n), message: 'm' } }));
      return () => parseErrorBody(body, 'application/json');
    },
  ],
  ...Object.fromEntries(
    [
      '-eyJ',
      'eyJabcdef-',
      '-Bearer ',
      'Bearer a-',
      '-Basic ',
      'Basic aA-',
      '-http://a',
      'http://a:',
      ' https://',
    ].map((unit): [string, [number, (n: number) => () => unknown]] => [
      `a text of many ${unit}`,
      [5000, (n) => () => safeText(unit.repeat(n))],
    ]),
  ),
  'a text with a name and blanks': [
    10_000,
    (n) => () => safeText(`"client_secret" ${' '.repeat(n)}`.repeat(4)),
  ],
  'metrics with a long number': [100_000, (n) => records(`{"costUSD":1e${'9'.repeat(n)}}`)],
  'metrics with digits': [100_000, (n) => records(`{"costUSD":${'1'.repeat(n)}}`)],
  'metrics with escapes': [50_000, (n) => records(`{"campaignId":"${'\\u0000'.repeat(n)}"}`)],
  'metrics with a time': [
    100_000,
    (n) => records(`{"createdAt":"${'2026-11-01T00:00:00.0'.repeat(n / 10)}"}`),
  ],
  'an error message with tokens': [
    5000,
    (n) => () => shortMessage(`eyJ${'a'.repeat(n)}.${'Bearer  '.repeat(n)}`),
  ],
  'an error message with blanks': [50_000, (n) => () => safeLine(`x${' '.repeat(n)}${'\u001b'.repeat(n)}`)],
  'an error page': [
    20_000,
    (n) => {
      const body = Buffer.from('<html><title><'.repeat(n));
      return () => parseErrorBody(body, 'text/html');
    },
  ],
};

it.each(Object.entries(cases))('%s', (_, [start, work]) => {
  let n = start;
  let small = microseconds(work(n));
  // Too fast to compare: more input, as far as it goes.
  for (let tries = 0; small < 4000 && tries < 2; tries++) {
    n *= 4;
    small = microseconds(work(n));
  }
  // Below a millisecond, everything else that the process does counts more.
  const ratio = () => microseconds(work(n * 4)) / Math.max(small, 1000);
  // Other processes slow one try down, not three.
  expect(
    Math.min(...[ratio()].flatMap((first) => (first < 10 ? first : [first, ratio(), ratio()]))),
  ).toBeLessThan(10);
});
