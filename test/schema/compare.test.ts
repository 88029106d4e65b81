import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/errors.ts';
import { compareSchemas } from '../../src/schema/compare.ts';
import { reportMarkdown, schemaReport } from '../../src/schema/report.ts';
import { resolveTables } from '../../src/schema/tables-from-csdl.ts';
import { documents, parseDocument, realDocuments } from './documents.ts';
import { column, table } from './tables.ts';

const tracked = { changeTracking: true };

describe('compareSchemas', () => {
  const account = table('account', [column('a', 'integer', 'Edm.Int32'), column('b', 'text')], tracked);

  it('has no findings if both schemas are equal', () => {
    expect(compareSchemas([account], [account], ['account'])).toEqual([]);
  });

  it('reports each kind of drift with its consequence, the most severe first', () => {
    const changed = table('account', [column('a', 'json', 'mscrm.X'), column('c', 'text')], tracked);
    const gone = table('gone', []);
    const left = table('left', []);
    const findings = compareSchemas(
      [account, gone, left],
      [changed, table('fresh', [], tracked)],
      ['account', 'fresh', 'gone', 'acount'],
      {
        failures: [
          {
            logicalName: 'acount',
            error: new ConfigurationError('Dataverse has no table acount; did you mean account?'),
          },
        ],
        now: '2026-11-21T02:00:00Z',
      },
    );
    expect(findings.map(({ severity, kind, table: name, column: c }) => [severity, kind, name, c])).toEqual([
      ['error', 'unknown-table', 'acount', undefined],
      ['warning', 'retyped', 'account', 'a'],
      ['warning', 'removed-column', 'account', 'b'],
      ['warning', 'vanished-table', 'gone', undefined],
      ['info', 'new-column', 'account', 'c'],
      ['info', 'new-table', 'fresh', undefined],
      ['info', 'unconfigured-table', 'left', undefined],
    ]);
    expect(findings[0]!.what).toContain('did you mean account?');
    expect(
      findings.every(({ since, what, action }) => since === '2026-11-21T02:00:00Z' && what && action),
    ).toBe(true);
  });

  it('keeps the time at which a finding was first reported', () => {
    const stale = { ...account, columns: [account.columns[0]!], staleColumns: account.columns.slice(1) };
    const now = (at: string, previous: ReturnType<typeof compareSchemas> = []) =>
      compareSchemas([stale], [table('account', [column('b', 'text')], tracked)], ['account'], {
        now: at,
        previous,
      });
    const second = now('2026-01-02T00:00:00Z', now('2026-01-01T00:00:00Z'));
    expect(second).toMatchObject([
      { kind: 'removed-column', column: 'a', since: '2026-01-01T00:00:00Z' },
      { kind: 'restored-column', column: 'b', since: '2026-01-01T00:00:00Z' },
    ]);
  });

  it('reports what makes syncs slow and joins incomplete', () => {
    const contact = table('contact', [column('_p_value', 'guid')], {
      foreignKeys: [{ column: '_p_value', targets: ['account', 'contact'], source: 'metadata' }],
    });
    expect(compareSchemas([contact], [contact], ['contact'])).toMatchObject(
      [
        { kind: 'no-change-tracking', what: /every run reads all rows/ },
        { kind: 'unmirrored-targets', what: /tables that are not mirrored: account$/ },
      ].map((finding) => ({ kind: finding.kind, what: expect.stringMatching(finding.what) })),
    );
  });
});

describe.skipIf(documents.length === 0)(realDocuments, () => {
  const tablesOf = (document: string) => {
    const csdl = parseDocument(document);
    return resolveTables(
      csdl,
      [],
      csdl.entitySets.map(({ entityType }) => entityType),
    ).tables;
  };

  it.each([
    [
      'embc-ess-2020-12-11.xml',
      'embc-ess-2020-12-15.xml',
      { 'vanished-table': 1, 'new-table': 4, 'removed-column': 15, 'new-column': 3 },
    ],
    [
      'embc-ess-2021-06-11.xml',
      'embc-ess-2021-06-25.xml',
      { 'vanished-table': 3, 'removed-column': 36, 'new-column': 2 },
    ],
  ])('%s to %s: the changes of that organization', (before, after, counts) => {
    const [from, to] = [tablesOf(before), tablesOf(after)];
    const configured = [...from, ...to].map(({ logicalName }) => logicalName);
    const drift = compareSchemas(from, to, configured).filter(
      ({ kind }) => kind !== 'no-change-tracking' && kind !== 'unmirrored-targets',
    );
    expect(
      Object.fromEntries(
        Object.entries(Object.groupBy(drift, ({ kind }) => kind)).map(([kind, list]) => [kind, list.length]),
      ),
    ).toEqual(counts);
  });
});

describe('the report', () => {
  const findings = compareSchemas([], [], ['a|b'], { now: '2026-11-21T02:00:00Z' });
  const details = {
    generatedAt: '2026-11-21T02:00:00Z',
    dataverse: 'https://example.crm.dynamics.com',
    runId: 'r1',
  };

  it('has a summary', () => {
    expect(schemaReport(findings, details)).toEqual({
      ...details,
      summary: { error: 1, warning: 0, info: 0 },
      findings,
    });
  });

  it('is Markdown with escaped cells', () => {
    expect(reportMarkdown(findings, details)).toMatchInlineSnapshot(`
      "# Schema report

      Generated 2026-11-21T02:00:00Z for https://example.crm.dynamics.com by run r1

      1 error, 0 warnings, 0 for information.

      ## Errors

      | Table | Column | What | Since | What to do |
      |---|---|---|---|---|
      | a\\|b |  | Dataverse has no table a\\|b | 2026-11-21T02:00:00Z | Correct the name in entities.json, or remove the entry. |
      "
    `);
    expect(reportMarkdown([], details)).toContain('0 errors, 0 warnings');
  });
});
