import { HttpRequest, type InvocationContext } from '@azure/functions';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import { assetName, getAsset } from '../../../src/http/dashboard/assets.ts';
import { getPage } from '../../../src/http/dashboard/get-page.ts';
import type { PageEnvironment } from '../../../src/http/dashboard/pages/page-context.ts';
import { getShell } from '../../../src/http/dashboard/shell.ts';
import { serve } from '../../../src/http/handler.ts';
import type { RecentRecords } from '../../../src/metrics/read/recent-records.ts';
import type { DisplayName, SchemaChangeLine } from '../../../src/target/mirror-reads.ts';
import { Organisation } from '../../sync/organisation.ts';

let org: Organisation | undefined;
afterEach(async () => {
  await org?.stop();
  org = undefined;
});

const changes: SchemaChangeLine[] = [];
const names: DisplayName[] = [];
let counts: ReadonlyMap<string, number> = new Map();
const reads = {
  metrics: async () => records,
  schemaChanges: async () => changes,
  displayNames: async () => names,
  rowCounts: async () => counts,
};
let records: RecentRecords = { rows: [], source: 'dataverse', isCut: false };

const context = { invocationId: 'i', warn: () => {}, error: () => {} } as unknown as InvocationContext;

interface Answer {
  status: number;
  headers: Headers;
  body: string;
}

/** The environment of the app settings. */
const own = { name: undefined, settings: { SYNC_SCHEDULE: '0 */15 * * * *' } };

/** Sends a request through the stack of the routes. */
async function get(
  path: string,
  headers: Record<string, string> = {},
  others: readonly PageEnvironment[] = [],
): Promise<Answer> {
  const [, route, page, item] = /^\/api\/(pages|dashboard|assets)\/?([^/?]*)\/?([^/?]*)/.exec(path)!;
  const params: Record<string, string> = route === 'assets' ? { name: page! } : {};
  if (route !== 'assets' && page) params['page'] = decodeURIComponent(page);
  if (item) params['item'] = decodeURIComponent(item);
  const resources = {
    pages: serve(() => org!.harness.services, {
      GET: getPage(own, reads, [{ name: undefined, services: async () => org!.harness.services }, ...others]),
    }),
    dashboard: serve(() => undefined, { GET: getShell }),
    assets: serve(() => undefined, { GET: getAsset }),
  };
  const request = new HttpRequest({ method: 'GET', url: `https://app.example${path}`, params, headers });
  const answer = await resources[route as keyof typeof resources].handler(request, context);
  const { status = 200, headers: sent, body } = answer as { status?: number; headers: Headers; body: string };
  return { status, headers: new Headers(sent), body: String(body) };
}

/** What a page says, without its markup. */
const textOf = ({ body }: Answer): string =>
  body
    .replace(/[\s\S]*<main/, '<main')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();

describe('the pages', () => {
  it('are there before the first sync', async () => {
    org = await Organisation.start(['account']);
    expect(textOf(await get('/api/pages'))).toMatch(/^No sync yet The timer starts the first sync at 2026-/);
    for (const page of ['runs', 'tables', 'schema', 'quality', 'metrics']) {
      const answer = await get(`/api/pages/${page}`);
      expect([page, answer.status]).toEqual([page, 200]);
    }
  });

  it('say that all is well', async () => {
    org = await Organisation.start(['account', 'contact', 'lead']);
    org.rows('account', 5);
    org.rows('contact', 1234);
    await org.sync();
    const overview = await get('/api/pages/overview');
    expect(textOf(overview)).toMatch(/^The mirror is up to date Of all tables, .* Rows 1,239 /);
    expect(overview.body).toContain('Dataverse mirror of <strong>127.0.0.1:');
    expect(overview.body).not.toContain('data-live');
    expect(textOf(await get('/api/pages/runs'))).toMatch(/^Syncs .* 1 syncs since .* none had a fault\./);
    expect(textOf(await get('/api/pages/tables'))).toContain('contact synced contacts 1,234 ');
    expect(textOf(await get('/api/pages/quality'))).toContain('None: every reference has its row.');
  });

  it('wait for no other environment that does not answer, and read it once', async () => {
    org = await Organisation.start(['account']);
    let reads = 0;
    const stuck = {
      name: 'stuck',
      services: () => {
        reads += 1;
        return new Promise<never>(() => {});
      },
    };
    const first = get('/api/pages/overview', {}, [stuck]);
    expect(textOf(await first)).toMatch(/^No sync yet .* stuck It does not answer/);
    await org.sync();
    const [one, two] = await Promise.all([1, 2].map(() => get('/api/pages/overview', {}, [stuck])));
    for (const page of [one!, two!])
      expect(textOf(page)).toMatch(/^The mirror is up to date .* stuck It does not answer/);
    expect(reads).toBe(1);
  });

  it('read another environment again some time after a read that never ends', async () => {
    org = await Organisation.start(['account']);
    await org.sync();
    const { services } = org.harness;
    let answer = new Promise<typeof services>(() => {});
    const stuck = { name: 'stuck', services: () => answer };
    expect(textOf(await get('/api/pages/overview', {}, [stuck]))).toContain('stuck It does not answer');
    answer = Promise.resolve(services);
    org.clock.now += 120_000;
    expect(textOf(await get('/api/pages/overview', {}, [stuck]))).not.toContain('It does not answer');
  });

  it('lead from the overview to a table that failed, and say why and what to do', async () => {
    org = await Organisation.start(['account', 'lead']);
    org.store.deniedPrivileges.add('prvReadlead');
    const { runId } = await org.sync();
    const overview = await get('/api/pages/overview');
    expect(textOf(overview)).toMatch(/^One table needs attention .*Needs attention lead : .*What to do: /);
    expect(overview.body).toContain('href="/api/pages/tables/lead"');
    expect(overview.body).toContain(`href="/api/pages/runs/${runId}"`);
    for (const page of ['tables/lead', `runs/${runId}`])
      expect(textOf(await get(`/api/pages/${page}`))).toMatch(/prvReadlead/i);
    // The chart marks it by more than a colour.
    expect(overview.body).toMatch(/<rect class="bar bad"[\s\S]*?>×<\/text>/);
  });

  it('do not forget a table that failed because of a run of other tables', async () => {
    org = await Organisation.start(['account', 'lead', 'contact']);
    org.store.deniedPrivileges.add('prvReadlead');
    await org.sync();
    await org.sync({ tables: ['account'] });
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^One table needs attention .*prvReadlead/i);
    expect(textOf(await get('/api/pages/tables'))).toMatch(/lead needs attention/);
    // Of runs of other tables there may be any number, also after a run of that table alone.
    await org.sync({ tables: ['lead'] });
    for (let n = 0; n < 22; n++) await org.sync({ tables: ['account'] });
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^One table needs attention .*prvReadlead/i);
    expect(textOf(await get('/api/pages/tables/lead'))).toMatch(/prvReadlead/i);
    // A run of that table says how it is now.
    org.store.deniedPrivileges.clear();
    await org.sync({ tables: ['lead'] });
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^The mirror is up to date/);
    expect(textOf(await get('/api/pages/tables'))).not.toContain('needs attention');
    // A table that fails in a run of its own, after it had been read.
    org.store.deniedPrivileges.add('prvReadcontact');
    await org.sync({ tables: ['contact'] });
    await org.sync({ tables: ['account'] });
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^One table needs attention .*prvReadcontact/i);
    org.store.deniedPrivileges.clear();
    await org.sync();
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^The mirror is up to date/);
  });

  it('keep what is wrong with tables over a run that planned nothing or merged nothing', async () => {
    org = await Organisation.start(['account', 'lead', { name: 'contact', massDeleteLimit: 0 }]);
    org.store.deniedPrivileges.add('prvReadlead');
    const ids = org.rows('contact', 30);
    await org.sync();
    for (const id of ids) org.store.delete('contact', id);
    await org.sync({ reread: ['contact'] });
    const { services } = org.harness;
    const isWrong = async () => {
      expect(textOf(await get('/api/pages/tables'))).toMatch(
        /contact needs attention .*lead needs attention/,
      );
      expect((await get('/api/pages/quality')).body).toContain('Allow 30 deletes once');
    };
    await isWrong();
    // The storage is away when the run is planned, so it has no tables.
    const state = vi
      .spyOn(services.mirror, 'loadState')
      .mockRejectedValue(new RetriableError('The storage is away.'));
    org.clock.now += 60_000;
    await expect(org.harness.sync({})).rejects.toThrow('The storage is away.');
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^The last sync did not complete/);
    await isWrong();
    state.mockRestore();
    // And when it merges.
    const transaction = vi
      .spyOn(services.mirror, 'transaction')
      .mockRejectedValue(new RetriableError('The storage is away.'));
    org.rows('account', 1);
    org.clock.now += 60_000;
    expect((await org.harness.sync({})).phase).toBe('failed');
    transaction.mockRestore();
    await isWrong();
  });

  it('show a run while it is under way', async () => {
    org = await Organisation.start(['account', 'contact'], {}, { DATAVERSE_PAGE_SIZE: '10' });
    org.rows('contact', 55);
    const { runId } = await org.harness.start({ reread: ['account'] });
    const overview = await get('/api/pages/overview');
    expect(overview.body).toContain('data-live');
    expect(textOf(overview)).toMatch(/^A sync is fetching: \d of 2 tables are read Now /);
    expect(overview.body).toMatch(/data-body="{&quot;resume&quot;:true}"[^>]*hidden>Resume the sync/);
    expect((await get(`/api/pages/runs/${runId}`)).body).toContain('data-live');
    await org.harness.drain();
    expect((await get('/api/pages/overview')).body).not.toContain('data-live');
  });

  it('say how many rows are about to come, where that is known', async () => {
    org = await Organisation.start(['account', 'contact'], {}, { DATAVERSE_PAGE_SIZE: '10' });
    org.rows('account', 40);
    await org.sync();
    org.rows('contact', 55);
    const { runId } = await org.harness.start({ reread: ['account'] });
    const { progress } = org.harness.services;
    const read = (name: string, rowsRead: number) =>
      progress.set(runId!, 1, name, { slice: 0, rowsRead, pages: 1, bytes: 1 });
    read('account', 10);
    // The mirror knows how many rows the one has that is read again. Of changes nobody knows how many come.
    for (const page of ['overview', `runs/${runId}`]) {
      const text = textOf(await get(`/api/pages/${page}`));
      expect(text).toMatch(/account 10 30 1 /);
      expect(text).toMatch(/contact \d+ not known 1 /);
    }
    read('account', 41);
    expect(textOf(await get('/api/pages/overview'))).toMatch(/account 41 not known 1 /);
    await org.harness.drain();
  });

  it('say how many rows are about to come of a table that is new, as Dataverse counts them', async () => {
    org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '10' });
    org.rows('account', 40);
    const { runId } = await org.harness.start({});
    org.harness.services.progress.set(runId!, 1, 'account', { slice: 0, rowsRead: 10, pages: 1, bytes: 1 });
    counts = new Map([['account', 38]]);
    expect(textOf(await get('/api/pages/overview'))).toMatch(/account 10 28 1 /);
    counts = new Map();
    expect(textOf(await get('/api/pages/overview'))).toMatch(/account 10 not known 1 /);
    await org.harness.drain();
  });

  it('show the rest where a part of them cannot be read', async () => {
    org = await Organisation.start(['account']);
    await org.sync();
    const { services } = org.harness;
    const logged: string[] = [];
    const log = vi.spyOn(services.telemetry, 'log').mockImplementation((level, line) => {
      logged.push(`${level} ${line}`);
    });
    const find = vi.spyOn(services.mirror, 'findDangling').mockRejectedValue(new Error('secret row'));
    const away = vi
      .spyOn(reads, 'schemaChanges')
      .mockRejectedValue(new RetriableError('The storage does not answer.', { hint: 'Wait.' }));
    const unnamed = vi.spyOn(reads, 'displayNames').mockRejectedValue(new Error('secret row'));
    const rest = {
      overview: /^The mirror is up to date .*Latest syncs/,
      schema: /^The schemas fit/,
      'tables/account': /^account 0 rows in accounts .*Columns .*accountid key/,
      quality: /^Quality .*Row counts/,
    };
    for (const [page, shown] of Object.entries(rest)) {
      logged.length = 0;
      const answer = await get(`/api/pages/${page}`);
      expect([page, answer.status]).toEqual([page, 200]);
      expect(textOf(answer)).toMatch(shown);
      expect(textOf(answer)).toContain(' cannot be shown: The ');
      expect(answer.body).not.toContain('secret row');
      expect(logged).toHaveLength(page === 'tables/account' ? 2 : 1);
    }
    expect(textOf(await get('/api/pages/schema'))).toContain(
      'The storage does not answer. What to do: Wait.',
    );
    for (const spy of [log, find, away, unnamed]) spy.mockRestore();
  });

  it('show rows of a table over time, and its references', async () => {
    org = await Organisation.start(['account', 'contact']);
    for (let n = 1; n < 4; n++) {
      org.rows('account', n);
      await org.sync();
    }
    const page = await get('/api/pages/tables/account');
    expect(textOf(page)).toMatch(/^account 6 rows in accounts , .* From 1 to 6 rows\. Latest changes /);
    expect(page.body).toContain('<polyline');
    expect(textOf(page)).toMatch(/Referred to by .*contact by _parentcustomerid_value/);
  });

  it('offer to allow deletes that were held back, once', async () => {
    org = await Organisation.start([{ name: 'account', massDeleteLimit: 0 }]);
    const ids = org.rows('account', 30);
    await org.sync();
    for (const id of ids) org.store.delete('account', id);
    await org.sync({ reread: ['account'] });
    for (const page of ['overview', 'quality', 'tables/account']) {
      const { body } = await get(`/api/pages/${page}`);
      expect(body).toMatch(/data-body="{&quot;allowMassDelete&quot;:\[&quot;account&quot;\]}"/);
      expect(body).toContain('Allow 30 deletes once');
    }
  });

  it('keep the key in links where it came in the address, and nowhere else', async () => {
    org = await Organisation.start(['account']);
    await org.sync();
    const alone = await get('/api/pages/overview?code=k%26y');
    expect(alone.body).toContain('href="/api/pages/tables?code=k%26y"');
    const inDashboard = await get('/api/pages/overview?code=secret', { 'x-dashboard': '1' });
    expect(inDashboard.body).toContain('href="/api/dashboard/tables"');
    expect(inDashboard.body).not.toContain('secret');
  });

  it('turn nothing into markup', async () => {
    const hostile = `<img src=x onerror=alert(1)>"'&`;
    org = await Organisation.start(['account']);
    await org.sync();
    const { published, work } = org.harness.services;
    const at = org.harness.services.now().toISOString();
    const line = {
      runId: 'r',
      trigger: 'timer',
      phase: 'failed',
      startedAt: at,
      finishedAt: at,
      error: hostile,
    };
    const changed = { account: { rows: 1, error: hostile }, [hostile]: { added: 1 } };
    await published.append(`history/${at.slice(0, 10)}.jsonl`, `${JSON.stringify({ ...line, changed })}\n`);
    const report = (name: string) => ({
      ...{ name, strategy: hostile, state: 'failed', reason: hostile, error: hostile, hint: hostile },
      ...{ rowsRead: 1, pages: 1, requests: 1, retries: 0, bytes: 1, seconds: 1 },
      ...{ added: 0, updated: 0, deleted: 0, unchanged: 0, heldBack: 3 },
    });
    const entities = [report('account'), report(hostile)];
    await work.put('runs/r/run.json', { ...line, hint: hostile, rounds: 1, entities });
    const paths = ['overview', 'runs', 'runs/r', 'tables', 'tables/account', 'quality', 'schema'];
    for (const path of [
      ...paths,
      `tables/${encodeURIComponent(hostile)}`,
      `runs/${encodeURIComponent(hostile)}`,
      encodeURIComponent(hostile),
    ]) {
      const { body } = await get(
        `/api/pages/${path}?show=${encodeURIComponent(hostile)}&code=${encodeURIComponent(hostile)}`,
      );
      expect(body, path).not.toContain('<img');
      expect(body, path).not.toMatch(/="[^"]*<|javascript:/);
    }
  });

  it('show figures of campaigns, compared with the period before', async () => {
    org = await Organisation.start(['account']);
    const day = (ago: number) => new Date(org!.clock.now - ago * 86_400_000).toISOString();
    const of = (id: string, record: object) => ({ id, record: { ...record } as never });
    const hostile = '<img src=x onerror=alert(1)>';
    records = {
      rows: [
        of('1', {
          campaignId: 'spring',
          phase: '1',
          createdAt: day(1),
          costUSD: 3,
          agentsTotal: 10,
          agentsSuccessful: 5,
          latencyAvgMs: 100,
        }),
        // What another program wrote has no values: they are not zero.
        of('2', { campaignId: 'spring', phase: '2', createdAt: day(2), costUSD: null, latencyAvgMs: null }),
        of('3', {
          campaignId: hostile,
          phase: null,
          createdAt: day(3),
          costUSD: '1.00001',
          agentsTotal: 30,
          agentsSuccessful: 30,
          latencyAvgMs: 500,
        }),
        of('4', {
          campaignId: 'spring',
          phase: '1',
          createdAt: day(8),
          costUSD: 2,
          agentsTotal: 1,
          agentsSuccessful: 1,
          latencyAvgMs: 7,
        }),
        of('5', { campaignId: 'spring', phase: '1', createdAt: day(15), costUSD: 1000 }),
      ],
      source: 'mirror',
      mirroredAt: day(0),
      isCut: false,
    };
    const week = await get('/api/pages/metrics?days=7');
    expect(textOf(week)).toContain('Cost $4.00 +100 %, before: $2.00 ');
    expect(textOf(week)).toContain('Successful agents 87.5 % −12.5 points ');
    // (10 × 100 + 30 × 500) / 40
    expect(textOf(week)).toContain('Average latency 400 ms ');
    expect(textOf(week)).toMatch(/spring 2 \$3\.00 .*&lt;img/);
    expect(week.body).not.toContain('<img');
    expect(week.body).toContain('data-news="10"');
    const one = await get(`/api/pages/metrics?days=7&campaign=spring&code=k`);
    expect(textOf(one)).toContain('Only campaign spring .');
    expect(textOf(one)).toContain('Records 2 +100 %, before: 1 ');
    expect(one.body).toContain('href="/api/pages/metrics?days=7&amp;campaign=spring&amp;phase=2&amp;code=k"');
    expect(textOf(await get('/api/pages/metrics?days=7&campaign=spring&phase=2'))).toContain('Cost – ');
    expect(textOf(await get('/api/pages/metrics?campaign=none'))).toContain('There is no record.');
  });

  it('take a cost of nothing for zero, and keep the sign of a change', async () => {
    org = await Organisation.start(['account']);
    const day = (ago: number) => new Date(org!.clock.now - ago * 86_400_000).toISOString();
    const costs = async (before: number, now: number) => {
      const of = (ago: number, costUSD: number) => ({
        id: `${ago}`,
        record: { campaignId: 'a', createdAt: day(ago), costUSD } as never,
      });
      records = { rows: [of(1, now), of(8, before)], source: 'dataverse', isCut: false };
      return textOf(await get('/api/pages/metrics?days=7'));
    };
    expect(await costs(0, 5)).toContain('Cost $5.00 before: $0.00 ');
    expect(await costs(-10, 10)).toMatch(/Cost \$10\.00 \+200 %, before: -?\$/);
  });

  it('say that the mirror is out of date, and that its state is gone', async () => {
    org = await Organisation.start(['account']);
    await org.sync();
    org.clock.now += 10 * 86_400_000;
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^One table is out of date /);
    expect(textOf(await get('/api/pages/tables'))).toContain('account out of date accounts');
    const gone = vi.spyOn(org.harness.services.mirror, 'lastState').mockResolvedValue(undefined);
    expect(textOf(await get('/api/pages/overview'))).toMatch(/^The state of the mirror cannot be read /);
    expect(textOf(await get('/api/pages/overview'))).not.toMatch(/Tables 0|Rows 0/);
    expect(textOf(await get('/api/pages/tables'))).toContain('state.json is absent or damaged');
    gone.mockRestore();
  });

  it('show what changed in the schema, and what Dataverse calls things', async () => {
    org = await Organisation.start(['account']);
    await org.sync();
    const at = new Date(org.clock.now).toISOString();
    const hostile = '<b onclick=x>';
    changes.push(
      {
        at,
        table_name: 'accounts',
        column_name: 'new_size',
        change: 'new-column',
        detail: `TEXT ${hostile}`,
      },
      { at, table_name: 'accounts', column_name: null, change: 'new-table', detail: 'new' },
    );
    names.push(
      { column_name: null, display_name: 'Customer', description: hostile },
      { column_name: 'name', display_name: 'Company name', description: null },
    );
    const pages = ['overview', 'schema', 'tables/account'].map((page) => get(`/api/pages/${page}`));
    const [overview, schema, table] = (await Promise.all(pages)) as [Answer, Answer, Answer];
    expect(textOf(overview)).toMatch(/New in the schema since yesterday .*\+ new column accounts\.new_size/);
    expect(textOf(overview)).not.toContain('+ new table');
    expect(textOf(schema)).toMatch(/Changes .*\+ new column accounts\.new_size .*\+ new table accounts/);
    expect(textOf(table)).toMatch(/^account Customer : &lt;b onclick.* name Company name TEXT Edm\.String/);
    for (const { body } of [overview, schema, table]) expect(body).not.toContain('<b ');
    changes.length = 0;
    names.length = 0;
  });

  it('answer what is not there with a page', async () => {
    org = await Organisation.start(['account']);
    for (const path of [
      'nothing',
      'overview/x',
      'runs/20260101T000000Z-00000000',
      'tables/nothing',
      'tables/__proto__',
      'tables/constructor',
    ]) {
      const answer = await get(`/api/pages/${path}`);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(textOf(answer)).toContain('What to do');
    }
  });
});

describe('the dashboard', () => {
  it('is a document without data that a strict policy protects', async () => {
    const { status, body, headers } = await get('/api/dashboard/tables/account');
    expect(status).toBe(200);
    expect(body).toContain('data-shell');
    const policy = headers.get('content-security-policy')!;
    expect(policy).toMatch(
      /default-src 'none'; connect-src 'self'; style-src 'sha256-.*; script-src 'self'; trusted-types 'none'/,
    );
    expect(policy).not.toContain('unsafe');
    const ofData = (await get('/api/dashboard/data')).headers.get('content-security-policy')!;
    expect(ofData.match(/'[a-z-]*unsafe[a-z-]*'/g)).toEqual(["'wasm-unsafe-eval'"]);
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(body).not.toMatch(/<script>|<script [^>]*>[^<]|style="| on\w+=/);
  });

  it('loads its code by an address that changes with it', async () => {
    const name = assetName('dashboard.js');
    const { status, headers, body } = await get(`/api/assets/${name}`);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toContain('immutable');
    expect(headers.get('content-type')).toContain('text/javascript');
    expect(body.length).toBeLessThan(30_000);
    for (const other of [
      'dashboard.js',
      'dashboard-000000000000.js',
      '..%2Fpackage-000000000000.json',
      'constructor-000000000000.',
    ])
      expect((await get(`/api/assets/${other}`)).status).toBe(404);
  });
});
