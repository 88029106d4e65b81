import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { readSchemaReport, readSchemaReportMarkdown } from '../../../src/sync/plan/validate-schema.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { commitFile, loadFile } from '../../storage/whole-file.ts';
import { Harness } from '../harness.ts';
import { Organisation } from '../organisation.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

describe('the schema report', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;

  beforeAll(async () => {
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 300 });
  });
  afterAll(async () => {
    await dataverse.stop();
    await azurite.stop();
  });

  it('reports drift, applies lossless changes, and keeps the rows of a table that vanished', async () => {
    const harness = await Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities: ['account', 'new_box'],
    });
    expect(await readSchemaReport(harness.services)).toBeUndefined();
    await harness.sync();
    const first = (await readSchemaReport(harness.services))!;
    expect(first.findings.filter(({ kind }) => kind === 'new-table').map(({ table }) => table)).toEqual([
      'account',
      'new_box',
    ]);
    expect(first.findings.every(({ since, action }) => since !== undefined && action !== '')).toBe(true);
    expect(await readSchemaReportMarkdown(harness.services)).toContain('new_box');

    const boxes = (await readTruth(dataverse.url, 'new_boxes')).length;
    dataverse.schema.addColumn('account', 'new_grade', 'int', { fill: true });
    dataverse.schema.dropTable('new_box');
    const status = await harness.sync();
    expect(status.totals.failed).toBe(0);
    const second = (await readSchemaReport(harness.services))!;
    expect(second.findings).toContainEqual(
      expect.objectContaining({
        kind: 'new-column',
        table: 'account',
        column: 'new_grade',
        severity: 'info',
      }),
    );
    expect(second.findings).toContainEqual(
      expect.objectContaining({ kind: 'vanished-table', table: 'new_box', severity: 'warning' }),
    );
    const truth = await readTruth(dataverse.url, 'accounts');
    withDatabase(await harness.databaseBytes(), (db) => {
      expect(differences(db, { entitySet: 'accounts', primaryKey: 'accountid' }, truth)).toEqual([]);
      expect(db.prepare('SELECT count(*) AS n FROM new_boxes').get()).toEqual({ n: boxes });
      expect(
        db.prepare("SELECT detail FROM _sync_schema_changes WHERE change = 'new-column'").all(),
      ).toHaveLength(1);
    });

    const third = await harness.sync();
    expect(third.database).toMatchObject({ stagedBlocks: 0 });
    const kept = (await readSchemaReport(harness.services))!;
    expect(kept.findings.find(({ kind }) => kind === 'vanished-table')?.since).toBe(
      second.findings.find(({ kind }) => kind === 'vanished-table')?.since,
    );
  });

  it('is made after the owner dropped a table that is no longer configured', async () => {
    const harness = await Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities: ['account', 'contact'],
    });
    await harness.sync();
    harness.configure(['account']);
    await harness.sync();
    const { sqlite } = harness.services;
    const { databaseFile } = harness.storage;
    const loaded = await loadFile(databaseFile);
    if (typeof loaded === 'string') throw new Error(loaded);
    const db = SqliteDatabase.open(sqlite, loaded.bytes);
    for (const { name } of db.all<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'view' AND name LIKE 'contacts%'",
    )) {
      db.exec(`DROP VIEW "${name}"`);
    }
    db.exec('DROP TABLE contacts');
    await commitFile(databaseFile, db.export(), { etag: loaded.etag });
    db.close();
    dataverse.store.delete('account', String((await readTruth(dataverse.url, 'accounts'))[0]!.accountid));
    const status = await harness.sync();
    expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0, deleted: 1 } });
    withDatabase(await harness.databaseBytes(), (after) => {
      expect(after.prepare('SELECT entity FROM _sync_state').all()).toEqual([{ entity: 'account' }]);
    });
    const report = (await readSchemaReport(harness.services))!;
    expect(report.findings.filter(({ table }) => table === 'contact')).toEqual([]);
  });
});

it('the schema report is made again once a table that had vanished is back', async () => {
  const org = await Organisation.start(['account', 'new_box'], { rows: 30 });
  try {
    // The third run finds the report that the second one made, and leaves it alone.
    for (let n = 0; n < 3; n++) await org.sync();
    const { services } = org.harness;
    const warnings = async (): Promise<string[]> => {
      const { findings } = (await readSchemaReport(services))!;
      return findings.filter(({ severity }) => severity !== 'info').map(({ kind }) => kind);
    };
    expect(await warnings()).toEqual([]);
    const { dataverse } = services;
    services.dataverse = {
      ...dataverse,
      readMetadataVersion: async (...args) => `${await dataverse.readMetadataVersion(...args)}x`,
      readMetadataDocument: async (...args) => {
        const read = await dataverse.readMetadataDocument(...args);
        if (read === 'unchanged') return read;
        return { ...read, document: Buffer.from(String(read.document).replaceAll('new_box', 'new_bax')) };
      },
    };
    org.rows('account', 1);
    await org.sync();
    expect(await warnings()).toEqual(['vanished-table']);
    services.dataverse = dataverse;
    await org.sync();
    expect(await warnings()).toEqual([]);
  } finally {
    await org.stop();
  }
});
