import { randomUUID } from 'node:crypto';
import type { ChangePoint, News, Tracking } from '../../changes.ts';
import type { Session } from '../connection/session.ts';
import { hasTable } from '../schema/stored-columns.ts';

/** The id that stands for all rows of a table. */
const allRows = '*';
/** So many of the latest generations are kept, and those to which something was exported. */
const keptGenerations = 1000;

/** Notes which rows a transaction changes. */
export class ChangesTable {
  readonly #session: Session;
  readonly #base: string;
  readonly #changed: string;
  readonly #generations: string;
  #isCreated = false;
  #generation: number | undefined;

  /** @param base the ETag of the state before: the token of the state before the first generation */
  constructor(session: Session, base: string) {
    this.#session = session;
    this.#base = base;
    this.#changed = session.name('_sync_changed');
    this.#generations = session.name('_sync_generations');
  }

  /**
   * A statement that changes rows and notes their ids. It tells how many rows it changed.
   * @param sql without RETURNING
   * @param id the key of a changed row, in a RETURNING clause
   */
  async noting(entity: string, sql: string, id: string): Promise<string> {
    const generation = await this.#open();
    const name = entity.replaceAll("'", "''");
    return `WITH changed_rows AS (${sql} RETURNING ${id}::text AS id)
      INSERT INTO ${this.#changed} AS c (entity, id, generation) SELECT '${name}', id, ${generation} FROM changed_rows
      ON CONFLICT (entity, id) DO UPDATE SET generation = excluded.generation`;
  }

  /** Notes that the table is new: what was known of its rows is void. */
  async recordAll(entity: string): Promise<void> {
    const generation = await this.#open();
    await this.#session.run(`DELETE FROM ${this.#changed} WHERE entity = $1`, [entity]);
    await this.#session.run(`INSERT INTO ${this.#changed} VALUES ($1, $2, $3)`, [
      entity,
      allRows,
      generation,
    ]);
  }

  async #open(): Promise<number> {
    if (this.#generation === undefined) {
      await this.#create();
      this.#generation = (await latest(this.#session)).generation + 1;
    }
    return this.#generation;
  }

  async #create(): Promise<void> {
    if (this.#isCreated) return;
    const session = this.#session;
    if (!(await hasChanges(session))) {
      await session.run(`CREATE TABLE IF NOT EXISTS ${this.#changed}
        (entity text NOT NULL, id text COLLATE "C" NOT NULL, generation bigint NOT NULL, PRIMARY KEY (entity, id))`);
      await session.run(
        `CREATE TABLE ${this.#generations} (generation bigint PRIMARY KEY, token text NOT NULL)`,
      );
      await session.run(`INSERT INTO ${this.#generations} VALUES (0, $1)`, [this.#base]);
    }
    this.#isCreated = true;
  }

  /** Completes the generation, if anything was noted, and forgets what is exported. */
  async finish(exported: Exclude<Tracking, 'off'>['exported']): Promise<void> {
    const session = this.#session;
    await this.#create();
    if (this.#generation !== undefined) {
      await session.run(`INSERT INTO ${this.#generations} VALUES ($1, $2)`, [this.#generation, randomUUID()]);
    }
    const points = JSON.stringify(
      Object.entries(exported).map(([entity, { generation, token }]) => ({ entity, generation, token })),
    );
    const known = `SELECT p.entity, p.generation FROM json_to_recordset($1::json) AS
      p(entity text, generation bigint, token text) JOIN ${this.#generations} g USING (generation, token)`;
    await session.run(
      `DELETE FROM ${this.#changed} c USING (${known}) k WHERE c.entity = k.entity AND c.generation <= k.generation`,
      [points],
    );
    await session.run(
      `DELETE FROM ${this.#generations} WHERE generation > 0 AND generation < $2
       AND generation NOT IN (SELECT k.generation FROM (${known}) k)`,
      [points, (await latest(session)).generation - keptGenerations],
    );
  }
}

export function hasChanges(session: Session): Promise<boolean> {
  return hasTable(session, '_sync_generations');
}

/** Drops what was noted: nothing is noted from now on. */
export async function dropChanges(session: Session): Promise<void> {
  if (!(await hasChanges(session))) return;
  await session.define(`DROP TABLE ${session.name('_sync_changed')}, ${session.name('_sync_generations')}`);
}

/** Forgets a table that is dropped. */
export async function forgetChanges(session: Session, entity: string): Promise<void> {
  if (!(await hasChanges(session))) return;
  await session.run(`DELETE FROM ${session.name('_sync_changed')} WHERE entity = $1`, [entity]);
}

async function latest(session: Session): Promise<ChangePoint> {
  const row = await session.get<{ generation: string; token: string }>(
    `SELECT generation, token FROM ${session.name('_sync_generations')} ORDER BY generation DESC LIMIT 1`,
  );
  return { generation: Number(row!.generation), token: row!.token };
}

/**
 * What tables have since these points.
 * @param etag of the state, which is the token as long as nothing was noted
 */
export async function newsSince(
  session: Session,
  points: Readonly<Record<string, ChangePoint | undefined>>,
  etag: string,
): Promise<{ latest: ChangePoint; newsOf: (entity: string) => News }> {
  if (!(await hasChanges(session))) {
    const now = { generation: 0, token: etag };
    const isNow = (point?: ChangePoint) => point?.generation === 0 && point.token === etag;
    return { latest: now, newsOf: (entity) => (isNow(points[entity]) ? 'none' : 'all') };
  }
  const given = Object.entries(points).flatMap(([entity, point]) => (point ? [{ entity, ...point }] : []));
  const rows = await session.all<{ entity: string; first: string | null }>(
    `SELECT p.entity, (SELECT min(c.id) FROM ${session.name('_sync_changed')} c
       WHERE c.entity = p.entity AND c.generation > p.generation) AS first
     FROM json_to_recordset($1::json) AS p(entity text, generation bigint, token text)
     JOIN ${session.name('_sync_generations')} g USING (generation, token)`,
    [JSON.stringify(given)],
  );
  const known = new Map(rows.map(({ entity, first }) => [entity, first]));
  return {
    latest: await latest(session),
    newsOf: (entity) => {
      const first = known.get(entity);
      // The sign for all rows comes before all other ids.
      if (first === undefined || first === allRows) return 'all';
      return first === null ? 'none' : 'some';
    },
  };
}
