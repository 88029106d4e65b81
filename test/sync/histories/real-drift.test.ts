import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type SampleDataverse,
  type Store,
  startSampleDataverse,
} from '../../../src/local/sample-dataverse/index.ts';
import { sampleOf } from '../../long.ts';
import { sharedAbsent, sharedPath } from '../../shared.ts';
import { Harness } from '../harness.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

const folder = sharedPath('dataverse/metadata');
const offeredSnapshots =
  folder === undefined ? [] : readdirSync(folder).filter((name) => name.startsWith('embc-ess'));
const snapshots = sampleOf(offeredSnapshots.sort(), 3);

/** Standard tables that the organisation's own tables refer to. */
const standard = [
  'account',
  'contact',
  'systemuser',
  'team',
  'task',
  'annotation',
  'businessunit',
  'appointment',
];
const rowsPerTable = 5;

describe.skipIf(snapshots.length === 0)(
  `states of one organisation's schema (skipped where ${sharedAbsent})`,
  () => {
    let dataverse: SampleDataverse;
    let harness: Harness;
    afterAll(() => dataverse?.stop());

    /** Changes the organisation to the schema of a snapshot. Its address, its rows and their versions stay. */
    async function become(snapshot: string, names: string[]): Promise<string[]> {
      const before = dataverse?.store;
      await dataverse?.stop();
      const metadata = `${folder}/${snapshot}`;
      const document = readFileSync(metadata, 'utf8');
      const sets = document.matchAll(/<EntitySet Name="[^"]+" EntityType="Microsoft\.Dynamics\.CRM\.(\w+)"/g);
      const offered = [...sets].map(([, name]) => name!).filter(isMirrored);
      dataverse = await startSampleDataverse({
        metadata,
        port: dataverse === undefined ? 0 : Number(new URL(dataverse.url).port),
        tables: offered,
        rows: offered.length * rowsPerTable,
        seed: 7,
        ...(before === undefined ? {} : { firstVersion: before.version + 1n }),
      });
      if (before !== undefined) {
        dataverse.store.metadataVersion = before.metadataVersion;
        for (const name of offered) carryOver(before, dataverse.store, name);
        dataverse.store.schemaChanged();
      }
      return [...new Set([...names, ...offered])];
    }

    /** Rows keep the values of columns that both schemas have. Other columns have generated values. */
    function carryOver(before: Store, after: Store, name: string): void {
      const [from, to] = [before.model.tables.get(name), after.table(name)];
      if (from === undefined) return;
      const positions = to.columns.map(({ name: column, type }) =>
        from.columns.findIndex((one) => one.name === column && one.type === type),
      );
      const rows = after.rowsOf(to);
      for (const row of [...rows.all()]) {
        const old = before.rowsOf(from).get(row.id);
        rows.remove(row.id);
        if (old === undefined) continue;
        const values = row.values.map((value, n) => (positions[n]! < 0 ? value : old.values[positions[n]!]!));
        rows.put({ ...row, version: old.version, values });
      }
      after.schemaChanged(to);
    }

    function isMirrored(name: string): boolean {
      return name.startsWith('era_') || standard.includes(name);
    }

    it('are mirrored one after the other, without a manual step and without a lost row', async () => {
      let names: string[] = [];
      const kept = new Map<string, number>();
      let changes = 0;
      for (const snapshot of snapshots) {
        names = await become(snapshot, names);
        harness ??= await Harness.create({ dataverseUrl: dataverse.url, entities: names });
        harness.configure(names.map((name) => ({ name, history: name.startsWith('era_') })));
        const { store } = dataverse;
        const { model } = store;
        // Rows change, too.
        for (const name of names.filter((one) =>
          model.tables.get(one)?.columns.some((c) => c.name === 'modifiedon'),
        )) {
          const [first, second] = [...store.rowsOf(store.table(name)).all()];
          if (first !== undefined) store.update(name, first.id, {});
          if (second !== undefined && snapshots.indexOf(snapshot) % 2 === 1) store.delete(name, second.id);
        }
        const status = await harness.sync();
        expect(status.phase).toBe('complete');
        expect(status.entities.filter((entity) => entity.error !== undefined)).toEqual([]);
        const bytes = await harness.databaseBytes();
        const found: string[] = [];
        let rows = 0;
        for (const name of names) {
          const table = model.tables.get(name);
          if (table === undefined) {
            // The table vanished from Dataverse: the mirror keeps its rows.
            const set = await setOf(bytes, name);
            const count = withDatabase(bytes, (db) => db.prepare(`SELECT count(*) AS n FROM ${set}`).get());
            expect(count?.['n'], `${snapshot} ${name}`).toBe(kept.get(name));
            continue;
          }
          const truth = await readTruth(dataverse.url, table.entitySetName!);
          rows += truth.length;
          kept.set(name, truth.length);
          withDatabase(bytes, (db) =>
            found.push(
              ...differences(db, { entitySet: table.entitySetName!, primaryKey: table.primaryId }, truth),
            ),
          );
        }
        expect(found.slice(0, 10), snapshot).toEqual([]);
        expect(rows).toBeGreaterThan(60);
        changes = withDatabase(bytes, (db) =>
          Number(db.prepare('SELECT count(*) AS n FROM _sync_schema_changes').get()!['n']),
        );
        const again = await harness.sync();
        expect(again.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
        expect(again.database, snapshot).toMatchObject({ stagedBlocks: 0 });
      }
      expect(changes).toBeGreaterThan(names.length);
    });

    async function setOf(bytes: Buffer, name: string): Promise<string> {
      return withDatabase(bytes, (db) =>
        String(db.prepare('SELECT table_name FROM _sync_state WHERE entity = ?').get(name)!['table_name']),
      );
    }
  },
);
