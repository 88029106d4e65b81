import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RetriableError, SyncError } from '../../src/errors.ts';
import { ParquetFile } from '../../src/fabric/parquet-file.ts';
import { readExport, readTableExport } from '../../src/sync/export/export-document.ts';
import { exportStatus } from '../../src/sync/export/export-status.ts';
import { exportTables } from '../../src/sync/export/export-tables.ts';
import { exportedColumns } from '../../src/target/common/exported-columns.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { createCluster } from '../citus.ts';
import { isLong } from '../long.ts';
import { startPostgres } from '../postgres.ts';
import { type PostgresProxy, startPostgresProxy } from '../postgres-proxy.ts';
import { Organisation } from '../sync/organisation.ts';
import { addColumn, retypeColumn } from '../sync/schema-drift.ts';
import { isDocumented, StatementShapes } from '../target/postgres/statement-shapes.ts';
import { Fabric } from './fabric.ts';

let azurite: Azurite;
let org: Organisation;
let fabric: Fabric;
let proxy: PostgresProxy | undefined;
let shapes: StatementShapes;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());
afterEach(async () => {
  await org.stop();
  await proxy?.stop();
  proxy = undefined;
  expect([...shapes.found].filter((shape) => !isDocumented(shape))).toEqual([]);
});

const targets: {
  target: string;
  inPostgres?: true;
  onCluster?: true;
  settings: Record<string, string>;
}[] = [
  { target: 'SQLite', settings: {} },
  { target: 'SQLite in parts', settings: { SYNC_CACHE_MB: '0.001' } },
  { target: 'PostgreSQL', inPostgres: true, settings: {} },
  { target: 'PostgreSQL on a cluster', inPostgres: true, onCluster: true, settings: {} },
];

async function start(
  entities: unknown[] = ['account', 'contact'],
  { inPostgres, onCluster, settings = {} }: Partial<(typeof targets)[number]> = {},
): Promise<void> {
  fabric = await Fabric.create(azurite.connectionString);
  let postgres: string | undefined;
  shapes = new StatementShapes('mirror');
  if (onCluster) {
    proxy = await startPostgresProxy(await createCluster());
    proxy.onStatement = (sql) => void shapes.add(sql);
    postgres = proxy.address;
  } else if (inPostgres) postgres = await (await startPostgres()).createDatabase();
  const usual = { SYNC_MASS_DELETE_LIMIT: '1', ...settings };
  org = await Organisation.start(entities, {}, usual, undefined, postgres, onCluster && 5);
  org.harness.services.lake = fabric.landingZone;
  org.harness.exportDelay = 0;
}

/** What the service makes of the landing zone must equal the mirror. */
async function expectSame(): Promise<void> {
  await fabric.mirror();
  expect(fabric.differences([await org.harness.databaseBytes()])).toEqual([]);
}

const dataFiles = async (folder = ''): Promise<string[]> =>
  (await fabric.names()).filter((name) => name.startsWith(folder) && name.endsWith('.parquet'));
const lastNumber = (folder: string): number | undefined => fabric.tables.get(folder)?.lastNumber;
const exported = async () => (await readExport(org.harness.services)).value;

describe.each(targets)('a mirror in $target', (target) => {
  it('is written as a whole once, then what changed', async () => {
    await start(['account', 'contact'], target);
    const ids = org.rows('account', 30, (n) => ({ name: `Account ${n}` }));
    org.rows('contact', 5);
    await org.sync();
    await expectSame();
    expect(await fabric.names()).toEqual([
      '_partnerEvents.json',
      'accounts/00000000000000000001.parquet',
      'accounts/_metadata.json',
      'contacts/00000000000000000001.parquet',
      'contacts/_metadata.json',
    ]);
    org.store.update('account', ids[0]!, { name: 'Another' });
    org.store.delete('account', ids[1]!);
    org.rows('account', 2);
    await org.sync();
    await expectSame();
    expect(lastNumber('accounts')).toBe(2);
    expect(lastNumber('contacts')).toBe(1);
    expect(fabric.tables.get('accounts')!.rows.size).toBe(31);
  });

  it('is not written if nothing changed', async () => {
    await start(['account'], target);
    org.rows('account', 3);
    await org.sync();
    const before = await dataFiles();
    await org.sync();
    await org.sync();
    expect(await dataFiles()).toEqual(before);
    expect(await exported()).toMatchObject({ failures: [] });
  });

  it('shows rows that are marked as deleted as deletes, and those that come back', async () => {
    await start([{ name: 'account', deletes: 'mark' }], target);
    const ids = org.rows('account', 6);
    await org.sync();
    org.store.delete('account', ids[0]!);
    org.store.delete('account', ids[1]!);
    await org.sync();
    await expectSame();
    expect(fabric.tables.get('accounts')!.rows.size).toBe(4);
    org.store.create('account', { accountid: ids[0]! });
    await org.sync();
    await expectSame();
    expect(fabric.tables.get('accounts')!.rows.size).toBe(5);
  });

  it('is right after most rows were deleted, in small files', async () => {
    await start(['account'], target);
    org.harness.exportLimits = { fileRows: 7, pageRows: 5 };
    const ids = org.rows('account', 60);
    await org.sync();
    await expectSame();
    expect(lastNumber('accounts')).toBe(6);
    for (const id of ids.slice(0, 50)) org.store.delete('account', id);
    await org.sync();
    await expectSame();
    expect(fabric.tables.get('accounts')!.rows.size).toBe(10);
  });

  it('keeps its folder with a new column, and gets another one with another type', async () => {
    await start(['account', 'contact'], target);
    const ids = org.rows('account', 5);
    await org.sync();
    await fabric.mirror();
    addColumn(org.store, 'account', 'new_extra', 'int', () => 7);
    await org.sync();
    await expectSame();
    expect(fabric.tables.get('accounts')!.types.get('new_extra')).toBe('Int32');
    expect(lastNumber('accounts')).toBe(2);
    retypeColumn(org.store, 'account', 'new_extra', 'text', () => 'seven');
    await org.sync();
    await expectSame();
    expect(fabric.tables.get('accounts')!.types.get('new_extra')).toBe('Utf8');
    expect(lastNumber('accounts')).toBe(1);
    org.store.update('account', ids[0]!, { name: 'Another' });
    await org.sync();
    await expectSame();
    expect(lastNumber('accounts')).toBe(2);
  });

  it.each([
    ['a number', 'int', 7],
    ['a number without values', 'int', null],
    ['an id without values', 'guid', null],
  ])('has no text any more that is %s now', async (_, word, value) => {
    await start(['account', 'contact'], target);
    const ids = org.rows('account', 5);
    addColumn(org.store, 'account', 'new_extra', 'text', () => '007');
    await org.sync();
    await expectSame();
    retypeColumn(org.store, 'account', 'new_extra', word, () => value);
    await org.sync();
    await expectSame();
    org.store.update('account', ids[0]!, { name: 'Another' });
    await org.sync();
    await expectSame();
  });

  it('loses the folder of a table that is dropped', async () => {
    await start(['account', 'contact'], target);
    org.rows('account', 2);
    org.rows('contact', 2);
    await org.sync();
    org.harness.configure(['account']);
    await org.sync();
    await expectSame();
    expect(await dataFiles('contacts')).toHaveLength(1);
    await org.sync({ dropTables: ['contact'] });
    await expectSame();
    expect(await fabric.names()).not.toContainEqual(expect.stringMatching(/^contacts/));
    org.harness.configure(['account', 'contact']);
    await org.sync();
    await expectSame();
    expect(lastNumber('contacts')).toBe(1);
  });

  it('is written in parts while rows change, without one twice', async () => {
    await start(['account'], { ...target, settings: { ...target.settings, SYNC_SLICE_SECONDS: '0.001' } });
    org.harness.exportLimits = { fileRows: 5, pageRows: 5 };
    const ids = org.rows('account', 40, (n) => ({ name: `Account ${n}` }));
    const { runId } = await org.harness.start();
    const { sendExport } = org.harness.services;
    let messages = 0;
    let isLater = false;
    org.harness.services.sendExport = async (message, delay) => {
      messages += 1;
      // Between the parts: rows that were written go, come back behind all others, and change.
      if (messages === 3 && !isLater) {
        isLater = true;
        for (const id of ids.slice(0, 4)) org.store.delete('account', id);
        await org.harness.services.mirror.loadState();
        await syncWithoutExport();
        for (const id of ids.slice(0, 2)) org.store.create('account', { accountid: id, name: 'Back' });
        org.store.update('account', ids[20]!, { name: 'Changed' });
        org.store.update('account', ids[39]!, { name: 'Changed' });
        await syncWithoutExport();
      }
      await sendExport(message, delay);
    };
    await org.harness.drain();
    expect(runId).toBeDefined();
    expect(messages).toBeGreaterThan(4);
    await expectSame();
    expect(fabric.tables.get('accounts')!.rows.size).toBe(38);
  });

  it.skipIf(target.inPostgres)('is written anew after an earlier state was put back', async () => {
    await start(['account'], target);
    const ids = org.rows('account', 8);
    await org.sync();
    const earlier = await org.harness.databaseBytes();
    org.store.update('account', ids[0]!, { name: 'Later' });
    org.store.delete('account', ids[1]!);
    await org.sync();
    await expectSame();
    await org.harness.services.published.putBytes('dataverse.db', earlier);
    // The state knows that the row was deleted, so this change comes alone.
    org.store.update('account', ids[2]!, { name: 'Changed' });
    await org.sync();
    org.store.update('account', ids[3]!, { name: 'Changed' });
    await org.sync();
    await expectSame();
  });

  it('forgets what is exported', async () => {
    await start(['account'], target);
    const ids = org.rows('account', 8);
    for (const name of ['One', 'Two', 'Three']) {
      await org.sync();
      org.store.update('account', ids[0]!, { name });
      org.store.delete('account', ids.pop()!);
    }
    await org.sync();
    const rows = await org.query('SELECT id FROM _sync_changed');
    expect(rows).toHaveLength(2);
    await expectSame();
  });

  it('is written anew if rows changed while the switch was off', async () => {
    await start(['account'], target);
    const ids = org.rows('account', 4);
    await org.sync();
    await fabric.mirror();
    org.harness.services.lake = undefined;
    org.store.update('account', ids[0]!, { name: 'Unseen' });
    await org.sync();
    expect(await org.query("SELECT name FROM sqlite_master WHERE name LIKE '_sync_changed'")).toEqual([]);
    org.harness.services.lake = fabric.landingZone;
    await org.sync();
    await expectSame();
    org.store.update('account', ids[1]!, { name: 'Seen' });
    await org.sync();
    await expectSame();
    expect(lastNumber('accounts')).toBe(2);
  });
});

/** A sync whose export is left to another message. */
async function syncWithoutExport(): Promise<void> {
  const { services } = org.harness;
  const { sendExport } = services;
  services.sendExport = async () => undefined;
  org.clock.now += 60_000;
  const started = await org.harness.start();
  expect(started.outcome).toBe('started');
  while (org.harness.waiting > 0) expect(await org.harness.deliver()).toBeUndefined();
  services.sendExport = sendExport;
}

it('notes nothing and sends nothing without the switch', async () => {
  await start(['account']);
  const { services } = org.harness;
  services.lake = undefined;
  let messages = 0;
  services.sendExport = async () => {
    messages += 1;
  };
  const ids = org.rows('account', 3);
  await org.sync();
  org.store.delete('account', ids[0]!);
  await org.sync();
  expect(await org.query("SELECT name FROM sqlite_master WHERE name LIKE '_sync_ge%'")).toEqual([]);
  expect([messages, await services.work.exists('export.json'), await fabric.names()]).toEqual([0, false, []]);
  await exportTables(services, { runId: 'late' });
  expect(await fabric.names()).toEqual([]);
});

it('writes a table anew whose folder somebody deleted', async () => {
  await start();
  const ids = org.rows('account', 4);
  org.rows('contact', 1);
  await org.sync();
  await fabric.mirror();
  await fabric.deleteFolder('accounts');
  await fabric.mirror();
  org.store.update('account', ids[0]!, { name: 'Another' });
  await org.sync();
  await expectSame();
  expect(fabric.tables.get('accounts')!.rows.size).toBe(4);
});

it('writes all tables anew if somebody deleted export.json', async () => {
  await start();
  org.rows('account', 4);
  org.rows('contact', 1);
  await org.sync();
  await org.sync();
  await fabric.mirror();
  const { etag } = await readExport(org.harness.services);
  await org.harness.services.work.deleteIfUnchanged('export.json', etag!);
  await org.sync();
  const before = fabric.files;
  await expectSame();
  expect(fabric.files - before).toBe(2);
});

it('finds its own file if the answer to the upload was lost', async () => {
  await start(['account']);
  org.harness.exportLimits = { fileRows: 3, pageRows: 2 };
  org.rows('account', 8);
  const { writeFile } = fabric.landingZone;
  let isLost = false;
  fabric.landingZone.writeFile = async (...args) => {
    await writeFile.apply(fabric.landingZone, args);
    // So the client of the storage repeats the request, and is told that there is such a blob.
    if (!isLost && args[1] === 2) {
      isLost = true;
      await writeFile.apply(fabric.landingZone, args);
    }
  };
  await org.sync();
  expect(isLost).toBe(true);
  await expectSame();
});

it('goes on after the number of the last file, wherever the service puts what it has read', async () => {
  await start(['account']);
  const ids = org.rows('account', 2);
  for (const consumption of ['deletes', 'moves', 'keeps', 'moves', 'deletes'] as const) {
    org.store.update('account', ids[0]!, { name: consumption });
    await org.sync();
    await fabric.mirror(consumption);
    expect(fabric.differences([await org.harness.databaseBytes()])).toEqual([]);
  }
  expect(lastNumber('accounts')).toBe(5);
});

describe.each([
  { write: 'before', of: 'all rows', isBefore: true, isFirst: true },
  { write: 'after', of: 'all rows', isBefore: false, isFirst: true },
  { write: 'before', of: 'changes', isBefore: true, isFirst: false },
  { write: 'after', of: 'changes', isBefore: false, isFirst: false },
])('an export of $of', ({ write, isBefore, isFirst }) => {
  it(`goes on if the process dies ${write} any of its writes`, async () => {
    // At each write in the long form.
    for (let number = 1; ; number += isLong ? 1 : 5) {
      expect(number).toBeLessThan(60);
      await start();
      org.harness.exportLimits = { fileRows: 3, pageRows: 2 };
      const ids = org.rows('account', 7);
      org.rows('contact', 1);
      if (!isFirst) {
        await org.sync();
        await fabric.mirror();
        org.store.delete('account', ids[0]!);
        for (const id of ids.slice(1, 6)) org.store.update('account', id, { name: 'Changed' });
      }
      const hasDied = dieAt(number, isBefore);
      await org.sync();
      await expectSame();
      if (!hasDied()) break;
      await org.stop();
    }
  });
});

/**
 * Lets the exporting process die at one of its writes: before it or, every other time, after it. It is dead until the queue
 * delivers the message again. @returns whether it died
 */
function dieAt(write: number, isBefore: boolean): () => boolean {
  const { services } = org.harness;
  let left = write;
  let isDead = false;
  const stores: [object, string[]][] = [
    [services.work, ['create', 'replaceIfUnchanged', 'read']],
    [fabric.landingZone, ['introduce', 'clear', 'describe', 'writeFile', 'look']],
  ];
  for (const [store, names] of stores) {
    const methods = store as Record<string, (...args: unknown[]) => Promise<unknown>>;
    for (const name of names) {
      const real = methods[name]!.bind(store);
      methods[name] = async (...args) => {
        const isOfExport = store === fabric.landingZone || String(args[0]).startsWith('export');
        if (isDead) throw new Error('killed');
        if (!isOfExport || name === 'read' || name === 'look') return real(...args);
        left -= 1;
        isDead = left === 0;
        if (isDead && isBefore) throw new Error('killed');
        const result = await real(...args);
        if (isDead) throw new Error('killed');
        return result;
      };
    }
  }
  org.harness.onFailure = () => {
    isDead = false;
  };
  const { sendExport } = services;
  services.sendExport = async (message, delay = 0) => {
    org.clock.now += delay * 1000;
    await sendExport(message);
  };
  return () => left <= 0;
}

it('writes nothing twice if two processes export at once', async () => {
  await start();
  org.rows('account', 20);
  org.rows('contact', 20);
  org.harness.exportLimits = { fileRows: 3, pageRows: 2 };
  await syncWithoutExport();
  const { services, exportLimits: limits } = org.harness;
  const both = await Promise.allSettled(
    [1, 2, 3].map(() => exportTables(services, { runId: 'run' }, { limits })),
  );
  for (const one of both) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(RetriableError);
  await org.harness.drain();
  await expectSame();
  expect(fabric.files).toBe((await dataFiles()).length);
});

it('does not fail a run, and tells once why the lake was not written', async () => {
  await start(['account']);
  const ids = org.rows('account', 3);
  const { services } = org.harness;
  const events: unknown[] = [];
  services.telemetry = {
    ...services.telemetry,
    event: (name, properties) => void events.push([name, properties]),
  };
  const { writeFile } = fabric.landingZone;
  fabric.landingZone.writeFile = async () => {
    throw new RetriableError('The lake is closed.', { hint: 'Open it.' });
  };
  expect((await org.sync()).phase).toBe('complete');
  org.store.update('account', ids[0]!, { name: 'Another' });
  expect((await org.sync()).phase).toBe('complete');
  const failures = events.filter((event) => (event as string[])[0] === 'ExportFailed');
  expect(failures).toHaveLength(1);
  expect((await exported()).failures).toMatchObject([{ error: 'The lake is closed.', hint: 'Open it.' }]);
  expect(org.harness.log.filter(({ message }) => message.includes('The lake is closed'))).toHaveLength(1);
  fabric.landingZone.writeFile = writeFile;
  // No row changes in this run.
  await org.sync();
  await expectSame();
  expect((await exported()).failures).toEqual([]);
});

describe.each([
  { range: 'a file', fileRows: 5 },
  { range: 'the last file', fileRows: 100 },
])('if all rows of $range changed again before it was written', ({ fileRows }) => {
  const paused = async () => {
    throw new RetriableError('The capacity is paused.');
  };

  async function startWithPending(): Promise<string[]> {
    await start(['account']);
    org.harness.exportLimits = { fileRows, pageRows: 5 };
    const ids = org.rows('account', 20);
    await org.sync();
    const { writeFile } = fabric.landingZone;
    for (const id of ids) org.store.update('account', id, { name: 'First' });
    fabric.landingZone.writeFile = paused;
    await org.sync();
    fabric.landingZone.writeFile = writeFile;
    for (const id of ids) org.store.update('account', id, { name: 'Second' });
    return ids;
  }

  it('the export goes on behind them, in files of the usual size', async () => {
    await startWithPending();
    org.harness.exportLimits = { fileRows: 5, pageRows: 5 };
    const before = await dataFiles();
    await org.sync();
    await expectSame();
    expect(await dataFiles()).toHaveLength(before.length + 4);
    expect((await exported()).etag).toBeDefined();
  });

  it('takes the late file for what it is', async () => {
    const ids = await startWithPending();
    const { writeFile } = fabric.landingZone;
    const { id } = await exported();
    const { lastNumber: last } = (await readTableExport(org.harness.services, 'account', id)).value!;
    let isLate = false;
    fabric.landingZone.writeFile = async (folder, number, bytes) => {
      // The upload that was given up arrives now.
      if (!isLate) {
        isLate = true;
        expect(number).toBe(last + 1);
        await writeFile.call(fabric.landingZone, folder, number, await upsertOf(ids[0]!, 'First'));
      }
      await writeFile.call(fabric.landingZone, folder, number, bytes);
    };
    await org.sync();
    expect(isLate).toBe(true);
    await expectSame();
  });
});

/** A data file with the name of an account. */
async function upsertOf(id: string, name: string): Promise<Uint8Array> {
  const table = await tableOf('account');
  const columns = exportedColumns(table);
  const file = await ParquetFile.open(columns, { key: table.primaryKey, hasMarkers: true });
  const values = columns.map((column) =>
    column.name === table.primaryKey ? id : column.name === 'name' ? name : null,
  );
  file.add([{ id, values }]);
  return file.finish();
}

it('writes all tables to another landing zone, also those that do not change', async () => {
  await start();
  org.rows('account', 4);
  const ids = org.rows('contact', 3);
  await org.sync();
  const former = fabric;
  fabric = await Fabric.create(azurite.connectionString);
  org.harness.services.lake = fabric.landingZone;
  expect(await exportStatus(org.harness.services)).toMatchObject({
    state: 'behind',
    tables: { exported: 0, total: 2 },
  });
  // No row changes in this run.
  await org.sync();
  await expectSame();
  expect(await exportStatus(org.harness.services)).toMatchObject({ state: 'complete' });
  org.store.update('contact', ids[0]!, { firstname: 'Later' });
  fabric = former;
  org.harness.services.lake = fabric.landingZone;
  await org.sync();
  await expectSame();
});

it.each(['clear', 'describe'] as const)(
  'leaves the files of its successor alone after a long break before it can %s',
  async (name) => {
    await start(['account']);
    org.rows('account', 4);
    await org.sync();
    const { services } = org.harness;
    const { etag } = await readExport(services);
    await services.work.deleteIfUnchanged('export.json', etag!);
    const slow = fabric.open();
    const { clear, describe: describeFolder } = slow;
    let goOn: () => void = () => undefined;
    const broken = new Promise<void>((reached) => {
      const hang = async () => {
        const going = new Promise<void>((resolve) => {
          goOn = resolve;
        });
        reached();
        await going;
      };
      if (name === 'clear') {
        slow.clear = async (folder, beforeDelete) => {
          await hang();
          await clear.call(slow, folder, beforeDelete);
        };
      } else {
        slow.describe = async (folder, key) => {
          await hang();
          await describeFolder.call(slow, folder, key);
        };
      }
    });
    const slept = exportTables({ ...services, lake: slow }, { runId: 'slept' });
    await broken;
    org.clock.now += 601_000;
    await exportTables(services, { runId: 'successor' });
    await expectSame();
    const before = await fabric.names();
    goOn();
    await expect(slept).rejects.toThrow(RetriableError);
    expect(await fabric.names()).toEqual(before);
    await expectSame();
  },
);

it('writes only what changed of a table that did not change for thousands of commits', async () => {
  await start();
  const ids = org.rows('account', 50);
  const [other] = org.rows('contact', 3);
  await org.sync();
  for (const firstname of ['One', 'Two']) {
    org.store.update('contact', other!, { firstname });
    await org.sync();
  }
  const before = await dataFiles('accounts');
  // Later commits forget those that no point in export.json names.
  const points = Object.values((await exported()).tables).map(({ point }) => point?.generation);
  const bytes = changeDatabase(await org.harness.databaseBytes(), (db) => {
    const sql = 'DELETE FROM _sync_generations WHERE generation NOT IN (SELECT value FROM json_each(?))';
    db.prepare(sql).run(JSON.stringify(points));
  });
  await org.harness.services.published.putBytes('dataverse.db', bytes);
  org.store.update('account', ids[0]!, { name: 'Another' });
  await org.sync();
  await expectSame();
  expect(await dataFiles('accounts')).toEqual([...before, 'accounts/00000000000000000002.parquet']);
});

function changeDatabase(bytes: Uint8Array, work: (db: DatabaseSync) => void): Uint8Array {
  const file = join(mkdtempSync(join(tmpdir(), 'mirror-')), 'mirror.db');
  writeFileSync(file, bytes);
  const db = new DatabaseSync(file);
  work(db);
  db.close();
  const changed = readFileSync(file);
  rmSync(dirname(file), { recursive: true });
  return changed;
}

it('clears no folder that another table has by now', async () => {
  await start();
  org.rows('account', 4);
  org.rows('contact', 3);
  await org.sync();
  await expectSame();
  renameSet('contact', 'people');
  await syncWithoutExport();
  renameSet('account', 'contacts');
  await org.sync();
  await expectSame();
  expect(await dataFiles()).toEqual([
    'contacts/00000000000000000001.parquet',
    'people/00000000000000000001.parquet',
  ]);
});

function renameSet(logicalName: string, entitySetName: string): void {
  const { store } = org;
  const table = store.table(logicalName);
  const renamed = { ...table, entitySetName } as typeof table;
  store.model.remove(table);
  store.model.add(renamed);
  store.schemaChanged(renamed);
}

it('exports the others in one go while a table cannot be exported, and then waits for the next run', async () => {
  await start(['lead', 'account', 'contact'], { settings: { SYNC_SLICE_SECONDS: '0.001' } });
  const { services } = org.harness;
  org.harness.exportLimits = { fileRows: 5, pageRows: 5 };
  for (const name of ['lead', 'account', 'contact']) org.rows(name, 20);
  const { clear } = fabric.landingZone;
  fabric.landingZone.clear = async (folder, beforeDelete) => {
    if (folder === 'leads') throw new SyncError('The table cannot be exported');
    await clear.call(fabric.landingZone, folder, beforeDelete);
  };
  const events: unknown[] = [];
  services.telemetry = { ...services.telemetry, event: (name) => void events.push(name) };
  let messages = 0;
  const { sendExport } = services;
  services.sendExport = async (message, delay) => {
    messages += 1;
    await sendExport(message, delay);
  };
  for (const most of [14, 1]) {
    messages = 0;
    await org.sync();
    expect(messages).toBeLessThanOrEqual(most);
    expect(await dataFiles('accounts')).toHaveLength(4);
    expect(await dataFiles('contacts')).toHaveLength(4);
    expect((await exported()).failures).toMatchObject([{ table: 'lead' }]);
  }
  expect(events.filter((name) => name === 'ExportFailed')).toHaveLength(1);
  fabric.landingZone.clear = clear;
  await org.sync();
  await expectSame();
  expect((await exported()).failures).toEqual([]);
});

it('exports the others while the service reads the folder of a table that is to be deleted', async () => {
  await start(['lead', 'account', 'contact']);
  const { services } = org.harness;
  for (const name of ['lead', 'account', 'contact']) org.rows(name, 4);
  const { clear } = fabric.landingZone;
  fabric.landingZone.clear = async (folder, beforeDelete) => {
    if (folder === 'leads') throw new RetriableError('Fabric is reading the folder.');
    await clear.call(fabric.landingZone, folder, beforeDelete);
  };
  const events: unknown[] = [];
  services.telemetry = { ...services.telemetry, event: (name) => void events.push(name) };
  for (let run = 0; run < 2; run++) {
    await org.sync();
    expect(await dataFiles('accounts')).toHaveLength(run + 1);
    expect(await dataFiles('contacts')).toHaveLength(1);
    expect((await exported()).failures).toMatchObject([{ table: 'lead' }]);
    org.rows('account', 1);
  }
  expect(events.filter((name) => name === 'ExportFailed')).toHaveLength(1);
  fabric.landingZone.clear = clear;
  await org.sync();
  await expectSame();
  expect((await exported()).failures).toEqual([]);
});

it('tells once of a table that cannot be exported, also after nothing could be for a while', async () => {
  await start(['lead', 'account']);
  const { services } = org.harness;
  for (const name of ['lead', 'account']) org.rows(name, 4);
  let events = 0;
  services.telemetry = {
    ...services.telemetry,
    event: (name) => {
      if (name === 'ExportFailed') events += 1;
    },
  };
  let isClosed = false;
  const { clear, look } = fabric.landingZone;
  fabric.landingZone.look = async (folder) => {
    if (isClosed) throw new RetriableError('The lake is closed.');
    return look.call(fabric.landingZone, folder);
  };
  fabric.landingZone.clear = async (folder, beforeDelete) => {
    if (isClosed) throw new RetriableError('The lake is closed.');
    if (folder === 'leads') throw new SyncError('The table cannot be exported');
    await clear.call(fabric.landingZone, folder, beforeDelete);
  };
  await org.sync();
  expect((await exported()).failures).toMatchObject([{ table: 'lead' }]);
  isClosed = true;
  org.rows('account', 1);
  await org.sync();
  expect((await exported()).failures).toMatchObject([{ error: 'The lake is closed.' }, { table: 'lead' }]);
  isClosed = false;
  await org.sync();
  expect((await exported()).failures).toMatchObject([{ table: 'lead' }]);
  expect(events).toBe(2);
});

it('sends no messages while there is no mirror', async () => {
  await start(['account']);
  const { services } = org.harness;
  org.rows('account', 3);
  await org.sync();
  const { databaseEtag } = (await services.mirror.loadState()).state;
  await services.published.deleteIfUnchanged('dataverse.db', databaseEtag!);
  let messages = 0;
  services.sendExport = async () => {
    messages += 1;
  };
  await exportTables(services, { runId: 'run' });
  expect(messages).toBe(0);
  expect(await dataFiles()).toHaveLength(1);
});

it('keeps the folders of a database file that is missing', async () => {
  await start([{ name: 'account' }, { name: 'contact', database: 'crm' }]);
  const [id] = org.rows('account', 4);
  org.rows('contact', 3);
  await org.sync();
  const { published } = org.harness.services;
  const crm = await org.harness.databaseBytes('crm');
  org.store.update('account', id!, { name: 'Another' });
  await syncWithoutExport();
  const { databases } = (await org.harness.services.mirror.loadState()).state;
  await published.deleteIfUnchanged('crm.db', databases!['crm']!.etag);
  await exportTables(org.harness.services, { runId: 'run' });
  expect(await dataFiles('accounts')).toHaveLength(2);
  expect(await dataFiles('contacts')).toHaveLength(1);
  await published.putBytes('crm.db', crm);
  await org.sync();
  org.store.delete('contact', (await org.harness.services.mirror.rowIds(await tableOf('contact')))[0]!);
  await org.sync();
  await fabric.mirror();
  const files = [await org.harness.databaseBytes(), await org.harness.databaseBytes('crm')];
  expect(fabric.differences(files)).toEqual([]);
  org.harness.configure(['account']);
  await org.sync({ dropTables: ['contact'] });
  expect(await dataFiles('contacts')).toEqual([]);
});

it('is right if an earlier state was put back after an export died', async () => {
  await start(['account']);
  org.rows('account', 3);
  await org.sync();
  const earlier = await org.harness.databaseBytes();
  const [id] = org.rows('account', 1);
  await syncWithoutExport();
  const { services } = org.harness;
  const { replaceIfUnchanged } = services.work;
  const { writeFile } = fabric.landingZone;
  fabric.landingZone.writeFile = async (...args) => {
    await writeFile.apply(fabric.landingZone, args);
    services.work.replaceIfUnchanged = () => Promise.reject(new Error('killed'));
  };
  await expect(exportTables(services, { runId: 'run' })).rejects.toThrow('killed');
  // A server that is put back to that state names it as before.
  expect((await exported()).etag).toBeUndefined();
  expect(await dataFiles()).toHaveLength(2);
  Object.assign(services.work, { replaceIfUnchanged });
  Object.assign(fabric.landingZone, { writeFile });
  org.clock.now += 3_600_000;
  await services.published.putBytes('dataverse.db', earlier);
  // The mirror never had the row, so its delete changes nothing.
  org.store.delete('account', id!);
  await org.sync();
  await expectSame();
  expect((await exported()).etag).toBeDefined();
});

const tableOf = async (name: string) =>
  (await org.harness.services.mirror.loadState()).state.entities[name]!.table;

it('reads few rows at once if they are wide', async () => {
  await start(['account']);
  org.rows('account', 100, (n) => ({ description: `${n}`.padEnd(200_000, '.') }));
  const { mirror } = org.harness.services;
  const { readRows } = mirror;
  const sizes: number[] = [];
  mirror.readRows = async (request) => {
    const page = await readRows.call(mirror, request);
    sizes.push(JSON.stringify(page!.rows).length);
    return page;
  };
  await org.sync();
  await expectSame();
  expect(Math.max(...sizes)).toBeLessThan(10_000_000);
});
