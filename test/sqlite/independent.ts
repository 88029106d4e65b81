import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Opens database bytes with Node's own SQLite, which is another build than sql.js, and checks their integrity. */
export function openIndependently(bytes: Uint8Array): DatabaseSync {
  const folder = mkdtempSync(join(tmpdir(), 'sqlite-'));
  const file = join(folder, 'test.db');
  writeFileSync(file, bytes);
  const database = new DatabaseSync(file);
  const close = database.close.bind(database);
  database.close = () => {
    close();
    rmSync(folder, { recursive: true });
  };
  const check = database.prepare('PRAGMA integrity_check').get();
  if (check?.['integrity_check'] !== 'ok') throw new Error(`integrity_check: ${JSON.stringify(check)}`);
  return database;
}
