import { HttpRequest, type InvocationContext } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serve } from '../../../src/http/handler.ts';
import { getSchema } from '../../../src/http/sync/get-schema.ts';
import { getVerify } from '../../../src/http/sync/get-verify.ts';
import { syncResource } from '../../../src/http/sync/sync-resource.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { isLong } from '../../long.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
let runId: string;

beforeAll(async () => {
  org = await Organisation.start([
    'account',
    { name: 'lead', history: true },
    { name: 'contact', filtered: true },
  ]);
  const ids = org.rows('contact', 2);
  org.rows('account', 3);
  org.rows('lead', 3, () => ({ _customerid_value: { id: ids[0]!, table: 'contact' } }));
  await org.sync();
  ({ runId } = await org.sync());
});
afterAll(() => org.stop());

const context = { invocationId: 'i', warn: () => {}, error: () => {} } as unknown as InvocationContext;

/** Sends a request through the stack of the routes. */
async function send(method: string, path: string, accept = 'application/json') {
  const { services } = org.harness;
  const [route, id] = path.split('?')[0]!.split('/').slice(2);
  const resource = { sync: syncResource, schema: { GET: getSchema }, verify: { GET: getVerify } }[route!]!;
  const { handler } = serve(() => services, resource);
  const params: Record<string, string> = id === undefined ? {} : { runId: id };
  const request = new HttpRequest({
    method,
    url: `http://127.0.0.1:7071${path}`,
    headers: { accept },
    params,
  });
  const answer = (await handler(request, context)) as { status?: number; body?: string; headers: Headers };
  return { status: answer.status ?? 200, body: answer.body ?? '', headers: answer.headers };
}

/** Every GET route as JSON and as a page. @returns the answers that are errors of the app */
async function faults(): Promise<string[]> {
  const found: string[] = [];
  for (const path of ['/api/sync', `/api/sync/${runId}`, '/api/schema', '/api/verify']) {
    for (const accept of path.startsWith('/api/sync') ? ['application/json', 'text/html'] : ['*/*']) {
      const { status, body } = await send('GET', path, accept);
      if (status >= 500) found.push(`${path} ${accept}: ${status} ${body.slice(0, 300)}`);
    }
  }
  return found;
}

type Path = (string | number)[];

/** The places in a document, those of the first two items of a list. */
function placesIn(value: unknown, depth = 6): Path[] {
  if (depth === 0 || typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .slice(0, Array.isArray(value) ? 2 : Infinity)
    .flatMap(([key, one]) => [[key], ...placesIn(one, depth - 1).map((path) => [key, ...path])]);
}

/** One place of each kind: those of several tables, columns and rows are alike. */
function kindsOfPlaces(document: unknown): Path[] {
  return [...new Map(placesIn(document).map((path) => [path.slice(-2).join('.'), path])).values()];
}

const removed = Symbol('removed');
const others: unknown[] = [null, 'x', '', -1, 1e308, true, [], [null], {}, { constructor: 1 }, removed];

/** A copy of a document with another value at one place. */
function changed(document: unknown, path: Path, value: unknown): string {
  const copy = structuredClone(document);
  let at = copy as Record<string, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
  const last = String(path.at(-1));
  if (value === removed) delete at[last];
  else at[last] = value;
  return JSON.stringify(copy);
}

/** Whole documents that are no documents of this app. */
function replacements(text: string): string[] {
  return [
    ...[
      '',
      ' ',
      'not json',
      'null',
      '5',
      '"x"',
      '[]',
      '[null]',
      '{}',
      '{"runId":null}',
      '{"__proto__":{"polluted":1}}',
    ],
    ...[text.slice(0, text.length / 2), `${text}}`, text.slice(0, -1), `\u0000${text}`, `\uFEFF${text}`],
    ...['['.repeat(100_000), `[${'{},'.repeat(200_000)}{}]`, `"${'x'.repeat(5_000_000)}"`],
    ...[text.replaceAll(runId, '../../../etc/passwd'), text.replaceAll(runId, 'constructor')],
    ...[text.replace(/"format":\d+/, '"format":1'), text.replace(/"format":\d+/, '"format":99')],
    text.replace('{', '{"from":{"a":"later version"},'),
  ];
}

/** Puts a text in the place of a document while `work` is done. */
async function withText(store: 'work' | 'published', name: string, text: string, work: () => Promise<void>) {
  const documents = org.harness.services[store];
  const before = await documents.getBytes(name);
  await documents.putText(name, text, 'application/json');
  try {
    await work();
  } finally {
    if (before === undefined) await documents.deletePrefix(name);
    else await documents.putText(name, before.toString(), 'application/json');
  }
}

const active = {
  runId: '20260101T000000Z-00000000',
  format: 4,
  startedAt: '2026-01-01T00:00:00Z',
  trigger: 'timer',
};

const documents: [name: string, store: 'work' | 'published', path: () => string, text?: string][] = [
  ['run.json', 'work', () => paths.run(runId)],
  ['active.json', 'work', () => paths.active, JSON.stringify({ ...active, resumptions: 0 })],
  ['state.json', 'published', () => 'state.json'],
  ['schema-report.json', 'published', () => 'schema-report.json'],
  ['reread.json', 'work', () => paths.keptReread, '{"reread":["account"]}'],
];

describe.each(documents)('%s, damaged', (name, store, path, text) => {
  const original = async (): Promise<string> =>
    text ?? (await org.harness.services[store].getBytes(path()))!.toString();

  it('at any place turns no route into an error of the app', async () => {
    const document = JSON.parse(await original()) as unknown;
    const places = kindsOfPlaces(document);
    expect(places.length).toBeGreaterThan(0);
    for (const [n, place] of places.entries()) {
      // Values take turns, and every second place loses its own; the long form tries both.
      const values = [others[n % others.length], removed];
      for (const value of isLong ? values : values.slice(n % 2, (n % 2) + 1)) {
        await withText(store, path(), changed(document, place, value), async () => {
          expect(await faults(), `${name} ${place.join('.')} = ${String(JSON.stringify(value))}`).toEqual([]);
        });
      }
    }
  });

  it('as a whole turns no route into an error of the app, and stops no run', async () => {
    for (const [n, replaced] of replacements(await original()).entries()) {
      const label = `${name}: ${replaced.slice(0, 60)}`;
      await withText(store, path(), replaced, async () => expect(await faults(), label).toEqual([]));
      // A run for each would take minutes.
      if (n % 3 > 0) continue;
      const { services } = org.harness;
      await services[store].putText(path(), replaced, 'application/json');
      org.store.create('account', {});
      // A live run, be it a damaged one, may be left alone until it is stale.
      org.clock.now += 86_400_000;
      const answer = await send('POST', '/api/sync');
      expect([202, 409], `${label} ${answer.body}`).toContain(answer.status);
      await org.harness.drain();
    }
    expect(await faults()).toEqual([]);
    org.clock.now += 86_400_000;
    const status = await org.harness.sync();
    expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    ({ runId } = status);
    await org.expectMirror('account', 'lead');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    await org.expectIdle();
  });

  it('at any place stops no run', async () => {
    const document = JSON.parse(await original()) as unknown;
    for (const [n, place] of kindsOfPlaces(document).entries()) {
      // A run for each would take minutes.
      if (n % 4 > 0) continue;
      const value = others[n % others.length];
      const label = `${name} ${place.join('.')} = ${String(JSON.stringify(value))}`;
      await org.harness.services[store].putText(path(), changed(document, place, value), 'application/json');
      if (store === 'published') org.store.create('account', {});
      org.clock.now += 2 * 86_400_000;
      const status = await org.harness.sync();
      expect(status, label).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    }
    await org.expectMirror('account', 'lead');
  });
});
