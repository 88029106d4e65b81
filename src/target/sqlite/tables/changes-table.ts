import { randomUUID } from 'node:crypto';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { ChangePoint, News, Tracking } from '../../changes.ts';

/** The id that stands for all rows of a table. */
const allRows = '*';
/** So many of the latest generations are kept, and those to which something was exported. */
const keptGenerations = 1000;

const tables = `
CREATE TABLE IF NOT EXISTS _sync_changed (
  entity TEXT NOT NULL,
  id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (entity, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _sync_generations (
  generation INTEGER PRIMARY KEY NOT NULL,
  token TEXT NOT NULL
);`;

export function hasChanges(db: SqliteDatabase): boolean {
  return db.hasTable('_sync_generations');
}

/**
 * Notes which rows a transaction changes. The tables are made by the first transaction that notes something or is committed:
 * one that changed nothing must leave the database as it was.
 */
export class ChangesTable {
  readonly #db: SqliteDatabase;
  readonly #base: string;
  #generation: number | undefined;

  /** @param base the ETag of the database that was opened: the token of the state before the first generation */
  constructor(db: SqliteDatabase, base: string) {
    this.#db = db;
    this.#base = base;
  }

  /** @param ids a SELECT of the ids, before the rows change */
  record(entity: string, ids: string, parameters: readonly (string | number)[] = []): void {
    const generation = this.#open();
    this.#db.run(
      `INSERT INTO _sync_changed (entity, id, generation) SELECT ?, id, ? FROM (${ids}) WHERE true
       ON CONFLICT (entity, id) DO UPDATE SET generation = excluded.generation`,
      [entity, generation, ...parameters],
    );
  }

  /** Notes that the table is new: what was known of its rows is void. */
  recordAll(entity: string): void {
    this.#db.exec(tables);
    this.#db.run('DELETE FROM _sync_changed WHERE entity = ?', [entity]);
    this.record(entity, `SELECT '${allRows}' AS id`);
  }

  #open(): number {
    if (this.#generation === undefined) {
      this.#create();
      this.#generation = latest(this.#db).generation + 1;
    }
    return this.#generation;
  }

  #create(): void {
    this.#db.exec(tables);
    this.#db.run('INSERT OR IGNORE INTO _sync_generations VALUES (0, ?)', [this.#base]);
  }

  /** Completes the generation, if anything was noted, and forgets what is exported. */
  finish(exported: Exclude<Tracking, 'off'>['exported']): void {
    const db = this.#db;
    this.#create();
    if (this.#generation !== undefined) {
      db.run('INSERT OR REPLACE INTO _sync_generations VALUES (?, ?)', [this.#generation, randomUUID()]);
      this.#generation = undefined;
    }
    const kept = new Set<number>();
    for (const [entity, point] of Object.entries(exported)) {
      if (!isKnown(db, point)) continue;
      kept.add(point.generation);
      db.run('DELETE FROM _sync_changed WHERE entity = ? AND generation <= ?', [entity, point.generation]);
    }
    db.run(
      `DELETE FROM _sync_generations WHERE generation > 0 AND generation < ?
       AND generation NOT IN (SELECT value FROM json_each(?))`,
      [latest(db).generation - keptGenerations, JSON.stringify([...kept])],
    );
  }
}

/** Drops what was noted: nothing is noted from now on. */
export function dropChanges(db: SqliteDatabase): void {
  db.exec('DROP TABLE IF EXISTS _sync_changed; DROP TABLE IF EXISTS _sync_generations');
}

/** Forgets a table that is dropped. */
export function forgetChanges(db: SqliteDatabase, entity: string): void {
  if (hasChanges(db)) db.run('DELETE FROM _sync_changed WHERE entity = ?', [entity]);
}

function latest(db: SqliteDatabase): ChangePoint {
  return db.get<ChangePoint & Record<string, unknown>>(
    'SELECT generation, token FROM _sync_generations ORDER BY generation DESC LIMIT 1',
  )!;
}

function isKnown(db: SqliteDatabase, { generation, token }: ChangePoint): boolean {
  return (
    db.get('SELECT 1 FROM _sync_generations WHERE generation = ? AND token = ?', [generation, token]) !==
    undefined
  );
}

/**
 * What tables have since these points.
 * @param etag of the database, which is the token as long as nothing was noted
 */
export function newsSince(
  db: SqliteDatabase,
  points: Readonly<Record<string, ChangePoint | undefined>>,
  etag: string,
): { latest: ChangePoint; news: Record<string, News> } {
  const isNoted = hasChanges(db);
  const now = isNoted ? latest(db) : { generation: 0, token: etag };
  const newsOf = (entity: string, point: ChangePoint | undefined): News => {
    if (point === undefined) return 'all';
    if (!isNoted) return point.generation === 0 && point.token === etag ? 'none' : 'all';
    if (!isKnown(db, point)) return 'all';
    const first = db.get<{ id: string }>(
      'SELECT id FROM _sync_changed WHERE entity = ? AND generation > ? ORDER BY id LIMIT 1',
      [entity, point.generation],
    );
    // It comes before all other ids.
    return first === undefined ? 'none' : first.id === allRows ? 'all' : 'some';
  };
  const news = Object.entries(points).map(([entity, point]) => [entity, newsOf(entity, point)] as const);
  return { latest: now, news: Object.fromEntries(news) };
}
