import type { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Choice } from '../../../src/dataverse/metadata/choices.ts';
import { RetriableError } from '../../../src/errors.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { labelIn } from '../../../src/local/sample-dataverse/metadata/labels.ts';
import { loadChoices, readFirstLabels } from '../../../src/sync/plan/load-choices.ts';
import { clientFor, startServer } from '../../dataverse/http-server.ts';
import { Harness } from '../harness.ts';
import { withDatabase } from '../truth.ts';

const rows = (db: DatabaseSync, sql: string) =>
  db
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));

describe('labels', () => {
  let dataverse: SampleDataverse;

  beforeAll(async () => {
    dataverse = await startSampleDataverse({ rows: 400 });
  });
  afterAll(async () => {
    await dataverse.stop();
  });

  const create = (entities: unknown[] = ['account', 'contact', 'systemuser', 'teammembership', 'team']) =>
    Harness.create({ dataverseUrl: dataverse.url, entities });

  /** Every label in the sample's model. */
  function modelled(tables: Record<string, string>) {
    return Object.entries(tables).flatMap(([name, set]) =>
      dataverse.store
        .table(name)
        .columns.flatMap(({ name: column, choice }) =>
          (choice?.options ?? []).map(({ value, label }) => ({ set, column, value, label })),
        ),
    );
  }

  it('are in _choices for every kind of choice column, in every language', async () => {
    const harness = await create();
    expect((await harness.sync()).totals.failed).toBe(0);
    const expected = modelled({
      account: 'accounts',
      contact: 'contacts',
      systemuser: 'systemusers',
      team: 'teams',
    }).flatMap(({ set, column, value, label }) => [
      `${set}.${column} ${value} 1030 ${labelIn(1030, label)}`,
      `${set}.${column} ${value} 1033 ${label}`,
    ]);
    withDatabase(await harness.databaseBytes(), (db) => {
      const found = rows(db, 'SELECT * FROM _choices');
      expect(
        found.map((r) => `${r.table_name}.${r.column_name} ${r.value} ${r.language} ${r.label}`).sort(),
      ).toEqual(expected.sort());
      // The integrity check of SQLite up to 3.40 requires the key columns first.
      const info = rows(db, 'PRAGMA table_info(_choices)');
      expect(info.map(({ pk }) => pk)).toEqual([1, 2, 3, 4, 0]);
      const kinds = ['industrycode', 'new_regions', 'statecode', 'statuscode', 'creditonhold'];
      for (const kind of kinds) expect(found.some((row) => row.column_name === kind)).toBe(true);
    });
  });

  it('are beside codes, with names beside lookups, and multi-select values as rows', async () => {
    const harness = await create();
    await harness.sync();
    withDatabase(await harness.databaseBytes(), (db) => {
      const names = new Map(
        rows(db, 'SELECT contactid, fullname FROM contacts').map((r) => [r.contactid, r.fullname]),
      );
      const accounts = rows(db, 'SELECT * FROM accounts_labelled');
      expect(accounts).toHaveLength(dataverse.store.count('account'));
      const labels = new Map(
        modelled({ account: 'accounts' }).map((c) => [`${c.column} ${c.value}`, c.label]),
      );
      let multiple = 0;
      for (const account of accounts) {
        for (const column of ['industrycode', 'statecode', 'statuscode', 'creditonhold', 'donotemail']) {
          expect(account[`${column}_label`]).toBe(labels.get(`${column} ${account[column]}`) ?? null);
        }
        expect(account._primarycontactid_name).toBe(names.get(account._primarycontactid_value) ?? null);
        const codes = account.new_regions === null ? [] : String(account.new_regions).split(',');
        expect(account.new_regions_label).toBe(
          codes.length === 0 ? null : codes.map((code) => labels.get(`new_regions ${code}`)).join('; '),
        );
        multiple += codes.length;
      }
      expect(multiple).toBeGreaterThan(0);
      expect(rows(db, "SELECT * FROM accounts_choice_values WHERE column_name = 'new_regions'")).toHaveLength(
        multiple,
      );
      const japan = rows(db, "SELECT count(*) AS n FROM accounts_choice_values WHERE label = '日本'")[0]!.n;
      expect(japan).toBe(accounts.filter((a) => String(a.new_regions ?? '').includes('100000003')).length);
      // N:N tables have no labels, but they have names beside both lookups.
      const members = rows(db, 'SELECT * FROM teammemberships_labelled');
      expect(members.length).toBeGreaterThan(0);
    });
  });

  it('are neither read nor written again while the metadata is unchanged', async () => {
    const harness = await create();
    await harness.sync();
    const real = harness.services.dataverse;
    const asked: string[] = [];
    const noted = ['readChoices', 'readChoiceMetadata', 'readBaseLanguage', 'readMetadataDocument'] as const;
    const noting = noted.map((name) => [
      name,
      (...args: never[]) => {
        asked.push(name);
        return (real[name] as (...args: never[]) => unknown)(...args);
      },
    ]);
    Object.assign(harness.services, { dataverse: { ...real, ...Object.fromEntries(noting) } });
    expect((await harness.sync()).database).toMatchObject({ stagedBlocks: 0 });
    expect(asked).toEqual([]);

    // A commit for another reason does not rewrite schema and labels.
    const places = viewPlaces(await harness.databaseBytes());
    dataverse.store.update('account', [...dataverse.store.truth('account').keys()][0]!, {
      telephone1: '+45',
    });
    expect((await harness.sync()).totals.updated).toBe(1);
    expect(viewPlaces(await harness.databaseBytes())).toEqual(places);
  });

  it('follow a changed, a new and a removed label although no row changed', async () => {
    const harness = await create();
    await harness.sync();
    const column = dataverse.store.table('account').columns.find(({ name }) => name === 'industrycode')!;
    const kept = column.choice!.options;
    column.choice!.options = [{ value: 1, label: 'Bookkeeping' }, kept[1]!, { value: 77, label: 'Forestry' }];
    dataverse.store.schemaChanged(dataverse.store.table('account'));
    try {
      const status = await harness.sync();
      expect(status.totals.failed).toBe(0);
      withDatabase(await harness.databaseBytes(), (db) => {
        const sql =
          "SELECT value, label FROM _choices WHERE column_name = 'industrycode' AND language = 1033 ORDER BY value";
        expect(rows(db, sql)).toEqual([
          { value: 1, label: 'Bookkeeping' },
          { value: kept[1]!.value, label: kept[1]!.label },
          { value: 77, label: 'Forestry' },
        ]);
      });
      expect((await harness.sync()).database).toMatchObject({ stagedBlocks: 0 });
    } finally {
      column.choice!.options = kept;
      dataverse.store.schemaChanged(dataverse.store.table('account'));
    }
  });

  it('are in the views of a table that is added later', async () => {
    const harness = await create(['account']);
    await harness.sync();
    withDatabase(await harness.databaseBytes(), (db) => {
      expect(() => db.prepare('SELECT * FROM contacts_labelled')).toThrow(/no such table/);
      const columns = db
        .prepare('SELECT * FROM accounts_labelled')
        .columns()
        .map(({ name }) => name);
      expect(columns).not.toContain('_primarycontactid_name');
    });
    harness.entities = (await create(['account', 'contact'])).entities;
    await harness.sync();
    withDatabase(await harness.databaseBytes(), (db) => {
      const named = 'SELECT count(_primarycontactid_name) AS n FROM accounts_labelled';
      expect(rows(db, named)[0]!.n).toBeGreaterThan(0);
      const labelled = 'SELECT count(familystatuscode_label) AS n FROM contacts_labelled';
      expect(rows(db, labelled)[0]!.n).toBeGreaterThan(0);
    });
  });

  describe('with another service', () => {
    const map: Choice[] = [
      ...['creditonhold', 'donotemail'].flatMap((column) => [
        { table: 'account', column, value: 0, label: 'Nej', language: 1030 },
        { table: 'account', column, value: 1, label: 'Ja', language: 1030 },
      ]),
      { table: 'account', column: 'statecode', value: 0, label: 'Aktiv', language: 1030 },
      { table: 'account', column: 'statecode', value: 0, label: 'Active', language: 1033 },
      { table: 'account', column: 'statuscode', value: 1, label: 'Aktiv', language: 1030 },
    ];

    it('come from the string map alone if it has them all', async () => {
      const harness = await create(['account']);
      let asked = 0;
      Object.assign(harness.services, {
        dataverse: {
          ...harness.services.dataverse,
          readChoices: async () => map,
          readBaseLanguage: async () => 1030,
          readChoiceColumns: async () => new Map([['account', ['statuscode']]]),
          readChoiceMetadata: async () => {
            asked += 1;
            return { columns: [], refused: [] };
          },
        },
      });
      await harness.sync();
      expect(asked).toBe(0);
      withDatabase(await harness.databaseBytes(), (db) => {
        expect(rows(db, 'SELECT * FROM _choices')).toHaveLength(map.length);
        expect(
          rows(db, 'SELECT DISTINCT statecode_label AS l FROM accounts_labelled WHERE statecode = 0'),
        ).toEqual([{ l: 'Aktiv' }]);
      });
    });

    it('are the same from the definitions if there is no string map', async () => {
      const harness = await create(['account', 'contact', 'team']);
      await harness.sync();
      const other = await create(['account', 'contact', 'team']);
      const real = other.services.dataverse;
      const readChoices = async () => {
        throw new Error('no string map');
      };
      Object.assign(other.services, { dataverse: { ...real, readChoices } });
      const before = real.stats.requests;
      await other.sync();
      const all = async (one: Harness) =>
        withDatabase(await one.databaseBytes(), (db) =>
          rows(db, 'SELECT * FROM _choices ORDER BY 1, 2, 3, 5'),
        );
      expect(await all(other)).toEqual(await all(harness));
      // One batch for three tables and five kinds of columns; a first sync sends the other requests anyway, among them
      // one for the attributes of each table.
      expect(real.stats.requests - before).toBeLessThan(19);
    });

    it('come from the definitions of tables that the string map lacks', async () => {
      const harness = await create(['account', 'contact']);
      const real = harness.services.dataverse;
      const readChoices: typeof real.readChoices = async (options) =>
        (await real.readChoices(options)).filter(({ table }) => table === 'account');
      Object.assign(harness.services, { dataverse: { ...real, readChoices } });
      await harness.sync();
      withDatabase(await harness.databaseBytes(), (db) => {
        const tables = rows(db, 'SELECT DISTINCT table_name FROM _choices ORDER BY 1');
        expect(tables).toEqual([{ table_name: 'accounts' }, { table_name: 'contacts' }]);
      });
    });

    it('of choices and multi-select choices that the string map lacks come from the definitions', async () => {
      const harness = await create(['account']);
      const real = harness.services.dataverse;
      const lacking = ['industrycode', 'new_regions'];
      const readChoices: typeof real.readChoices = async (options) =>
        (await real.readChoices(options)).filter(({ column }) => !lacking.includes(column));
      Object.assign(harness.services, { dataverse: { ...real, readChoices } });
      await harness.sync();
      const expected = modelled({ account: 'accounts' }).filter(({ column }) => lacking.includes(column));
      expect(expected.length).toBeGreaterThan(4);
      withDatabase(await harness.databaseBytes(), (db) => {
        const found = rows(
          db,
          `SELECT column_name AS column, value, label FROM _choices
           WHERE language = 1033 AND column_name IN ('industrycode', 'new_regions')`,
        );
        const text = (one: Record<string, unknown>) => `${one['column']} ${one['value']} ${one['label']}`;
        expect(found.map(text).sort()).toEqual(expected.map(text).sort());
      });
    });

    it('that are nowhere are reported once, with the values, and looked for again every day', async () => {
      const column = dataverse.store.table('account').columns.find(({ name }) => name === 'industrycode')!;
      const kept = column.choice!.options;
      column.choice!.options = [];
      dataverse.store.schemaChanged(dataverse.store.table('account'));
      try {
        const harness = await create(['account']);
        let now = Date.now();
        Object.assign(harness.services, { now: () => new Date(now) });
        const said = () =>
          harness.log.filter(({ message }) => /labels .*accounts\.industrycode/.test(message));
        const first = await harness.sync();
        expect(first.entities[0]!.reason).toMatch(/no labels for the values of accounts\.industrycode/);
        expect(said()).toHaveLength(1);
        const recorded = async () =>
          withDatabase(await harness.databaseBytes(), (db) =>
            rows(db, "SELECT table_name, column_name FROM _sync_schema_changes WHERE change = 'no-labels'"),
          );
        const expected = [{ table_name: 'accounts', column_name: 'industrycode' }];
        expect(await recorded()).toEqual(expected);
        const id = [...dataverse.store.truth('account').keys()][0]!;
        dataverse.store.update('account', id, { telephone1: '+45 1' });
        expect((await harness.sync()).entities[0]!.reason).not.toMatch(/labels/);
        column.choice!.options = kept;
        // The labels are there, and the version of the metadata does not tell.
        expect((await harness.sync()).database).toMatchObject({ stagedBlocks: 0 });
        now += 25 * 3_600_000;
        await harness.sync();
        expect(said()).toHaveLength(1);
        expect(await recorded()).toEqual(expected);
        withDatabase(await harness.databaseBytes(), (db) => {
          const found = rows(
            db,
            "SELECT DISTINCT value FROM _choices WHERE column_name = 'industrycode' AND table_name = 'accounts'",
          );
          expect(found).toHaveLength(kept.length);
        });
      } finally {
        column.choice!.options = kept;
        dataverse.store.schemaChanged(dataverse.store.table('account'));
      }
    });

    it('are read for a limited time, and again by the next run', async () => {
      const harness = await create(['account']);
      const real = harness.services.dataverse;
      const limit = new AbortController();
      // The time is over once the request is there and has no answer.
      await using silent = await startServer(() => void limit.abort());
      const { readChoices } = clientFor(silent);
      Object.assign(harness.services, { dataverse: { ...real, readChoices } });
      const first = await readFirstLabels(harness.services, ['account'], {
        ...{ language: Promise.resolve(undefined), limit: limit.signal },
      });
      expect(silent.requests).toHaveLength(1);
      expect(await loadChoices(harness.services, [], 'those before', { first, names: () => [] })).toEqual({
        digest: 'those before',
        tryAgain: true,
        areIncomplete: false,
      });

      const busy: typeof real.readChoices = async () => {
        throw new RetriableError('busy');
      };
      Object.assign(harness.services, { dataverse: { ...real, readChoices: busy } });
      expect((await harness.sync()).phase).toBe('complete');
      Object.assign(harness.services, { dataverse: real });
      // The labels are read again although the metadata is unchanged.
      await harness.sync();
      withDatabase(await harness.databaseBytes(), (db) => {
        expect(rows(db, 'SELECT * FROM _choices').length).toBeGreaterThan(0);
      });
    });

    it('do not fail a run that cannot read them; those from before stay', async () => {
      const harness = await create(['account']);
      const real = harness.services.dataverse;
      const fail = async () => {
        throw new Error('no labels here');
      };
      const without = { ...real, readChoices: fail, readChoiceMetadata: fail };
      Object.assign(harness.services, { dataverse: without });
      expect(await harness.sync()).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
      expect(harness.log).toContainEqual(
        expect.objectContaining({
          level: 'warn',
          message: expect.stringContaining('Labels could not be read'),
        }),
      );
      withDatabase(await harness.databaseBytes(), (db) => {
        expect(rows(db, 'SELECT * FROM _choices')).toEqual([]);
        expect(rows(db, 'SELECT * FROM accounts_labelled')).toHaveLength(dataverse.store.count('account'));
      });
      Object.assign(harness.services, { dataverse: real });
      dataverse.store.schemaChanged();
      await harness.sync();
      Object.assign(harness.services, { dataverse: without });
      dataverse.store.schemaChanged();
      await harness.sync();
      withDatabase(await harness.databaseBytes(), (db) => {
        expect(rows(db, 'SELECT * FROM _choices').length).toBeGreaterThan(0);
      });
    });
  });
});

/** The rowid of each view. A view that is created again has another one. */
function viewPlaces(bytes: Uint8Array): unknown {
  return withDatabase(bytes, (db) => rows(db, "SELECT rowid, name FROM sqlite_master WHERE type = 'view'"));
}
