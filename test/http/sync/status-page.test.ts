import { expect, test } from 'vitest';
import { overviewPage, runPage, statusLinks } from '../../../src/http/sync/status-page.ts';
import type { Checks } from '../../../src/sync/check/check-status.ts';
import { entityReport, runStatus } from './runs.ts';

const links = statusLinks({ url: 'https://app.example/api/sync?code=k%2Fe%22y' });

test('links stay below the requested address and keep the function key', () => {
  expect(links).toMatchObject({
    overview: '/api/sync?code=k%2Fe%22y',
    schema: '/api/schema?format=markdown&code=k%2Fe%22y',
    verify: '/api/verify?code=k%2Fe%22y',
  });
  expect(links.run('a b')).toBe('/api/sync/a%20b?code=k%2Fe%22y');
  const ofRun = statusLinks({ url: 'https://app.example/prefix/sync/20261121/?x=1' });
  expect([ofRun.overview, ofRun.schema]).toEqual(['/prefix/sync', '/prefix/schema?format=markdown']);
});

test('values of a report are escaped', () => {
  const hostile = '<img src=x onerror=alert(1)>"\'&';
  const page = runPage(
    runStatus({
      runId: hostile,
      error: hostile,
      hint: hostile,
      startedAt: hostile,
      entities: [entityReport({ name: hostile, reason: hostile, error: hostile, hint: hostile })],
    }),
    statusLinks({ url: `https://app.example/api/sync/1?code=${encodeURIComponent(hostile)}` }),
  );
  expect(page.body).not.toContain('<img');
  expect(page.body).not.toContain('"\'&');
  expect(page.body).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;');
});

test('a failed table comes first, with its error and hint', () => {
  const held = entityReport({ name: 'contact', error: 'Too many deletes.', hint: 'Let them through.' });
  const { body } = overviewPage(
    { active: null, runs: [runStatus({ entities: [entityReport(), held] })] },
    links,
  );
  expect(body).toContain('Sync complete, 1 table needs attention');
  expect(body).toContain('Too many deletes.');
  expect(body).toContain('What to do: Let them through.');
  const page = String(body);
  expect(page.indexOf('scope="row">contact')).toBeLessThan(page.indexOf('scope="row">account'));
});

test('file counts appear only if the run fetched files', () => {
  const files = { fetched: 12, bytes: 34_000, failed: 1, removed: 0 };
  const { body } = runPage(runStatus({ files }), links);
  expect(body).toContain('<dt>Files fetched</dt><dd>12</dd>');
  expect(body).toContain('<dt>Files failed</dt><dd>1</dd>');
  expect(runPage(runStatus(), links).body).not.toContain('Files');
});

test('the sizes of several databases appear by name', () => {
  const databases = {
    dataverse: { bytes: 34_000, etag: '"1"', tables: 3 },
    sales: { bytes: 56_000, etag: '"2"', tables: 1 },
    old: { bytes: 78_000, etag: '"3"', tables: 0 },
  };
  const { body } = runPage(runStatus({ databases }), links);
  expect(body).toMatch(/<dt>Database sales<\/dt><dd>56[^,]*<\/dd>/);
  expect(body).toMatch(/<dt>Database old<\/dt><dd>78[^,]*, no longer used<\/dd>/);
  expect(runPage(runStatus(), links).body).not.toContain('Database sales');
});

test('the page reloads only while a run is live', () => {
  const fetching = runStatus({
    phase: 'fetching',
    entities: [entityReport({ state: 'fetching' }), entityReport({ name: 'lead', state: 'fetched' })],
  });
  const { body } = overviewPage({ active: fetching, runs: [fetching, runStatus()] }, links);
  expect(body).toContain('<meta http-equiv="refresh" content="3">');
  expect(body).toContain('1 of 2 tables read');
  expect(overviewPage({ active: null, runs: [runStatus()] }, links).body).not.toContain(
    'http-equiv="refresh"',
  );
  expect(overviewPage({ active: null, runs: [] }, links).body).toContain('No sync yet');
});

test('a page allows no scripts and only its own style', () => {
  expect(runPage(runStatus(), links).headers).toMatchObject({
    'content-security-policy': expect.stringMatching(/^default-src 'none'; style-src 'sha256-/),
  });
});

test('the check of the database is described in words', () => {
  const of = (checks: Checks) =>
    String(overviewPage({ active: null, runs: [runStatus()] }, links, checks).body);
  const at = '2026-11-21T02:00:00.000Z';
  const check = { checkId: 'check-1', trigger: 'http' as const, startedAt: at, updatedAt: at };
  const progress = {
    phase: 'pages' as const,
    bytes: { done: 3e9, total: 12e9 },
    references: { done: 0, total: 0 },
    catchUps: 0,
  };
  const live = of({ check: { ...check, state: 'running', progress }, checked: null });
  expect(live).toContain('Pages are read: 3.0 GB of 12.0 GB.');
  expect(live).toContain('<meta http-equiv="refresh"');
  const counting = { ...progress, phase: 'references' as const, references: { done: 2, total: 7 } };
  expect(of({ check: { ...check, state: 'running', progress: counting }, checked: null })).toContain(
    'References are counted: 2 of 7 done.',
  );
  expect(of({ check: { ...check, state: 'running' }, checked: null })).toContain('It begins.');
  const checked = {
    ...{ checkId: 'check-0', startedAt: at, finishedAt: at, database: { etag: '"1"', bytes: 12e9 } },
    ...{ tables: 3, pages: 9, freePages: 0, faults: [], faultCount: 0, miscounted: [], uncounted: [] },
  };
  const sound = of({ check: null, checked: { ...checked, danglingReferences: 4 } });
  expect(sound).toContain('read 12.0 GB and found no damage.');
  expect(sound).toContain('References without a target: 4.');
  expect(sound).not.toContain('http-equiv="refresh"');
  const faults = [{ table: '<img>', text: 'Page 7 of table <img> uses bytes twice' }];
  const damaged = of({
    check: { ...check, state: 'failed', error: 'Storage is busy.', hint: 'Wait.' },
    checked: {
      ...checked,
      faultCount: 1,
      faults,
      hint: 'Restore it.',
      miscounted: [{ table: 'account', kept: 1, counted: 2 }],
    },
  });
  expect(damaged).toContain('The last check failed</strong>: Storage is busy.');
  expect(damaged).toContain('Page 7 of table &lt;img&gt; uses bytes twice.');
  expect(damaged).toContain('What to do: Restore it.');
  expect(damaged).toContain('the next merge of the rows corrects them: account.');
  const ofSales = { ...checked, faultCount: 1, faults: [{ database: 'sales', text: 'Page 7 is not used' }] };
  expect(of({ check: null, checked: ofSales })).toContain('The database sales is damaged</strong>: Page 7');
  expect(of({ check: null, checked: null })).not.toContain('<h2>Check');
});
