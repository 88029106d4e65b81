import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { linkOfToken, tokenOfLink } from '../../../src/metrics/read/page-token.ts';
import { record } from '../metrics-world.ts';
import { connectTable } from '../sample-table.ts';

let dataverse: SampleDataverse;
let connected: ReturnType<typeof connectTable>;

const values = Array.from({ length: 60 }, (_, n) =>
  record({
    campaignId: ['spring', 'O’Brien’s "summer"', "it's"][n % 3]!,
    runId: `r${n}`,
    agentsTotal: 4,
    agentsSuccessful: n % 5,
    tokensIn: n,
    latencyAvgMs: 100 + n,
    latencyP95Ms: 200 + n,
    costUSD: Number((0.1 + n / 1e5).toFixed(5)),
    createdAt: `2026-11-${String(10 + (n % 4)).padStart(2, '0')}T${String(n % 24).padStart(2, '0')}:00:00Z`,
  }),
);

beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 50 });
  for (const id of dataverse.store.truth('apex_campaignmetrics').keys()) {
    dataverse.store.delete('apex_campaignmetrics', id);
  }
  connected = connectTable(dataverse.url);
  const rows = values.map((value) => ({ id: campaignMetricsId(value), record: value }));
  const written = await connected.table.writeMany(rows, { signal: AbortSignal.timeout(10_000) });
  expect(written).toEqual(rows.map(({ id }) => ({ created: true, id })));
});
afterAll(() => dataverse.stop());

describe('the list', () => {
  test('has each record once, newest first, page by page', async () => {
    const seen: string[] = [];
    const times: string[] = [];
    let page: string | undefined;
    do {
      const found = await connected.reader.list({}, 7, page);
      if (found === 'wrong page') throw new Error(found);
      expect(found.rows.length).toBeLessThanOrEqual(7);
      seen.push(...found.rows.map((row) => row.id));
      times.push(...found.rows.map((row) => row.record.createdAt));
      page = found.next;
    } while (page !== undefined);
    expect(new Set(seen)).toEqual(new Set(values.map(campaignMetricsId)));
    expect(seen).toHaveLength(60);
    expect(times).toEqual([...times].sort().reverse());
  });

  test('is filtered', async () => {
    for (const campaignId of new Set(values.map((value) => value.campaignId))) {
      const found = await connected.reader.list({ campaignId }, 100);
      expect(found !== 'wrong page' && found.rows.length).toBe(20);
    }
    const since = '2026-11-12T10:00:00Z';
    const found = await connected.reader.list({ since }, 100);
    const expected = values.filter((value) => value.createdAt >= since).length;
    expect(found !== 'wrong page' && found.rows.length).toBe(expected);
  });

  test('rejects page tokens of other queries, of earlier versions, and damaged ones', async () => {
    const list = (token?: string, campaignId = 'spring') => connected.reader.list({ campaignId }, 5, token);
    const found = await list();
    if (found === 'wrong page') throw new Error(found);
    const [digest, position] = found.next!.split('.') as [string, string];
    const encoded = (text: string): string => Buffer.from(text).toString('base64url');
    const own = Buffer.from(position, 'base64url').toString();
    // An earlier version sent the whole nextLink.
    const link = `${dataverse.url}/api/data/v9.2/apex_campaignmetricses?$select=apex_name&$skiptoken=${own}`;
    const damaged = [
      ...['', '.', '!', digest, `${digest}.`, `.${position}`, position, `${found.next}=`, `${found.next}!`],
      ...[encoded(link), `${digest}.${encoded(link)}`, encoded(`${dataverse.url}/api/data/v9.2/`)],
      ...[`${found.next}.${position}`, `${digest.slice(1)}.${position}`, `${digest} .${position}`],
      ...[
        `${own}&$expand=createdby`,
        `${own}#x`,
        `${own}\t`,
        `${own}\n`,
        `${own}\0`,
        `${own}%`,
        `${own}é`,
        '',
      ].map((text) => `${digest}.${encoded(text)}`),
      ...['%3Ccookie%3E', '1', '/../../accounts', `${own}${own}`, 'x'.repeat(6000)].map(
        (text) => `${digest}.${encoded(text)}`,
      ),
    ];
    for (const token of damaged) expect(await list(token), token).toBe('wrong page');
    for (let at = 0; at < own.length; at += 7) {
      for (const text of [own.slice(0, at), `${own.slice(0, at)}1${own.slice(at + 1)}`, own.slice(at)]) {
        if (text === own) continue;
        const token = `${digest}.${encoded(text)}`;
        expect(await list(token), text).toBe('wrong page');
      }
    }
    expect(await list(found.next, 'winter')).toBe('wrong page');
    expect(await list(found.next)).toMatchObject({ rows: { length: 5 } });
  });

  test.each([400, 404, 414])(
    'takes an answer of Dataverse with status %i to a token for its fault',
    async (status) => {
      const found = await connected.reader.list({}, 5);
      if (found === 'wrong page') throw new Error(found);
      dataverse.faults.add({
        kind: 'error',
        status,
        code: '0x1',
        message: 'no',
        match: /skiptoken/,
        times: 1,
      });
      expect(await connected.reader.list({}, 5, found.next)).toBe('wrong page');
      // The list itself has no such excuse.
      dataverse.faults.add({
        kind: 'error',
        status,
        code: '0x1',
        message: 'no',
        match: /metricses/,
        rate: 1,
      });
      await expect(connected.reader.list({}, 5)).rejects.toThrow();
      dataverse.faults.clear();
    },
  );

  test('keeps the position of a link as Dataverse sent it', () => {
    const address = 'https://x.crm.dynamics.com/api/data/v9.2/rows?$select=a';
    for (const position of [
      '%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522%253e%22/%3E',
      'a+b%2Bc',
    ]) {
      const token = tokenOfLink(`${address}&$skiptoken=${position}`, address);
      expect(linkOfToken(token, address)).toBe(`${address}&$skiptoken=${position}`);
      expect(linkOfToken(token, `${address},b`)).toBeUndefined();
    }
    const raw = tokenOfLink(`${address}&$skiptoken=<cookie a="1" b='2%'/>`, address);
    expect(linkOfToken(raw, address)).toBe(`${address}&$skiptoken=%3Ccookie%20a=%221%22%20b=%272%25%27/%3E`);
    expect(() => tokenOfLink(`${address}&$skip=5`, address)).toThrow('did not say where it begins');
    for (const link of ['http://[', 'https://a:b:c'])
      expect(() => tokenOfLink(link, address)).toThrow('did not say where it begins');
  });
});

test('reads one record by its id', async () => {
  const id = campaignMetricsId(values[5]!);
  expect(await connected.reader.get(id)).toEqual({ id, record: values[5] });
  expect(await connected.reader.get('00000000-0000-5000-8000-000000000000')).toBeUndefined();
});

describe('the summary', () => {
  const filter = { since: '2026-11-01T00:00:00Z' };

  test('adds up per day and campaign, in Dataverse', async () => {
    const { items, aggregatedBy } = await connected.reader.summary(filter);
    expect(aggregatedBy).toBe('dataverse');
    expect(items).toHaveLength(12);
    expect(items.map((item) => item.day)).toEqual([...items.map((item) => item.day)].sort().reverse());
    for (const item of items) {
      const group = values.filter(
        (v) => v.campaignId === item.campaignId && v.createdAt.startsWith(item.day),
      );
      const sum = (name: 'tokensIn' | 'agentsTotal' | 'agentsSuccessful' | 'latencyAvgMs') =>
        group.reduce((total, value) => total + value[name], 0);
      expect(item).toEqual({
        day: item.day,
        campaignId: item.campaignId,
        records: group.length,
        costUSD: group.reduce((total, value) => total + Math.round(value.costUSD * 1e5), 0) / 1e5,
        tokensIn: sum('tokensIn'),
        tokensOut: 2000 * group.length,
        assetsGenerated: 12 * group.length,
        agentsTotal: sum('agentsTotal'),
        agentsSuccessful: sum('agentsSuccessful'),
        successRate: Math.round((sum('agentsSuccessful') / sum('agentsTotal')) * 10_000) / 100,
        latencyAvgMs: Math.round(sum('latencyAvgMs') / group.length),
        latencyP95Ms: Math.max(...group.map((value) => value.latencyP95Ms)),
      });
    }
  });

  test('is the same if Dataverse does not aggregate', async () => {
    const whole = await connected.reader.summary(filter);
    dataverse.faults.add({
      kind: 'error',
      status: 400,
      code: '0x8004e023',
      message: 'AggregateQueryRecordLimit exceeded',
      match: /apply/,
      rate: 1,
    });
    const added = await connected.reader.summary(filter);
    dataverse.faults.clear();
    expect(added).toEqual({ items: whole.items, aggregatedBy: 'rows' });
  });

  test.each([
    ['in Dataverse', false],
    ['from the rows', true],
  ])('leaves out the values that a record lacks, %s', async (_, isRefused) => {
    const campaignId = `partial ${isRefused}`;
    const create = (n: number, more: object) =>
      dataverse.store.create('apex_campaignmetrics', {
        apex_campaignid: campaignId,
        apex_runid: `r${n}`,
        apex_phase: 'p',
        apex_createdat: '2026-11-20T10:00:00Z',
        ...more,
      });
    const ids = [
      create(1, { apex_latencyavgms: 300, apex_agentstotal: 4, apex_agentssuccessful: 1, apex_costusd: 1.5 }),
      create(2, { apex_latencyp95ms: 900 }),
      create(3, { apex_latencyavgms: 100 }),
    ];
    const fault = { kind: 'error', status: 400, code: '0x8004e023', message: 'no', match: /apply/ } as const;
    if (isRefused) dataverse.faults.add({ ...fault, rate: 1 });
    const wanted = { campaignId, since: '2026-11-01T00:00:00Z' };
    const summary = () => connected.reader.summary(wanted);
    expect(await summary()).toMatchObject({
      aggregatedBy: isRefused ? 'rows' : 'dataverse',
      items: [
        { records: 3, latencyAvgMs: 200, latencyP95Ms: 900, successRate: 25, costUSD: 1.5, tokensIn: 0 },
      ],
    });
    // Dataverse adds up each column alone, so records with only one number of agents need the rows.
    ids.push(create(4, { apex_agentssuccessful: 3 }));
    expect(await summary()).toMatchObject({ aggregatedBy: 'rows', items: [{ successRate: 25 }] });
    for (const id of [ids[0]!, ids[2]!]) dataverse.store.delete('apex_campaignmetrics', id);
    expect(await summary()).toMatchObject({
      items: [{ records: 2, latencyAvgMs: null, latencyP95Ms: 900, successRate: 0 }],
    });
    dataverse.faults.clear();
    for (const id of [ids[1]!, ids[3]!]) dataverse.store.delete('apex_campaignmetrics', id);
  });

  test('can be limited to a campaign and to times within a day', async () => {
    const within = { campaignId: 'spring', since: '2026-11-10T05:00:00Z', until: '2026-11-12T20:00:00Z' };
    const { items } = await connected.reader.summary(within);
    const expected = values.filter(
      (v) => v.campaignId === 'spring' && v.createdAt >= within.since && v.createdAt < within.until,
    );
    expect(items.reduce((sum, item) => sum + item.records, 0)).toBe(expected.length);
    expect(await connected.reader.summary({ since: '2027-01-01T00:00:00Z' })).toMatchObject({ items: [] });
  });
});
