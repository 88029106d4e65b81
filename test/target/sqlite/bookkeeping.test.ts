import { expect, it } from 'vitest';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import {
  choicesMeta,
  createBookkeeping,
  readState,
  writeMeta,
  writeState,
} from '../../../src/target/sqlite/tables/bookkeeping.ts';
import type { State, TableState } from '../../../src/target/state.ts';
import { column, table } from '../../schema/tables.ts';

/** Every member has a value, so that this does not compile without a new one. */
const account: Required<TableState> = {
  table: table('account', [column('name', 'text')]),
  strategy: 'delta',
  deltaLink: 'https://example.crm.dynamics.com/api/data/v9.2/accounts?$deltatoken=1',
  deltaVersion: '9007199254740993',
  watermark: '2026-11-20T00:00:00Z',
  reached: { at: '2026-11-20T00:00:00Z', version: '9007199254740993' },
  window: { from: '2026-11-19T00:00:00Z', digest: 'a', values: 'b' },
  contentDigest: 'c',
  valuesDigest: 'd',
  rows: 3,
  rowBytes: 100,
  sweepAgain: 'rows',
  uncompared: { error: 'too large', hint: 'wait', at: '2026-11-20T12:00:00.000Z' },
  runsSinceSweep: 2,
  sweptAt: '2026-11-20T06:00:00.000Z',
  miscount: 1,
  comparedAt: '2026-11-20T00:00:00Z',
  syncedAt: '2026-11-21T00:00:00Z',
  fallback: { reason: 'refused', until: '2026-11-22T00:00:00Z', refused: ['modifiedon'] },
  refusedOptions: { options: ['order'], until: '2026-11-22T00:00:00Z' },
  history: true,
  reread: 'a test asks for it',
  storedIds: 'e',
  absentIds: { list: 'f', askedAt: '2026-11-21T00:00:00Z' },
};

const state: Required<State> = {
  databaseEtag: '"0x1"',
  databaseBytes: 4096,
  databases: { dataverse: { etag: '"0x1"', bytes: 4096 } },
  leftovers: [],
  metadataVersion: '12345',
  catalog: 'g',
  organizationId: '99999999-0000-4000-8000-000000000001',
  configDigest: 'h',
  configured: ['account'],
  choices: 'i',
  labelsAgainAt: '2026-11-22T00:00:00Z',
  files: { entities: ['annotation'], etag: '"0x1"' },
  closureOpen: true,
  schemaReport: 'j',
  entities: { account },
  pendingLog: [],
};

it('keeps the whole state in the database, but for what belongs to the file itself', async () => {
  const db = SqliteDatabase.open(await loadSqlite());
  createBookkeeping(db);
  db.exec('CREATE TABLE accounts (accountid TEXT PRIMARY KEY)');
  writeState(db, state, 'run');
  // The labels are written beside the state.
  writeMeta(db, choicesMeta, JSON.stringify({ digest: state.choices }));
  // Of files, the next run looks which ones are there. Log rows that wait become rows of _sync_log.
  const { databaseEtag: _, databaseBytes: __, files: ___, schemaReport: ____, ...others } = state;
  const { databases: _____, leftovers: ______, ...kept } = others;
  expect(readState(db)).toEqual(kept);
  db.close();
});
