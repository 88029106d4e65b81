import type { DatabaseFile } from '../../../src/storage/database/database-file.ts';
import type { Organisation } from '../organisation.ts';
import { withDatabase } from '../truth.ts';

/** @param database its name; undefined for the default one */
export async function query(
  org: Organisation,
  database: string | undefined,
  sql: string,
): Promise<Record<string, unknown>[]> {
  return withDatabase(await org.harness.databaseBytes(database), (db) => db.prepare(sql).all());
}

/** The tables of Dataverse that a database has, by name. */
export const tablesOf = async (org: Organisation, database?: string): Promise<unknown[]> =>
  (
    await query(
      org,
      database,
      "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 1) <> '_' ORDER BY 1",
    )
  ).map(({ name }) => name);

export const countOf = async (
  org: Organisation,
  database: string | undefined,
  table: string,
): Promise<unknown> => (await query(org, database, `SELECT count(*) AS n FROM ${table}`))[0]!['n'];

export const fileOf = (org: Organisation, name: string | undefined): DatabaseFile => {
  const { databaseFile, namedFile } = org.harness.storage;
  return name === undefined ? databaseFile : namedFile(name);
};

/** Makes the next commit of a file fail, before it or after it. */
export function failCommit(
  org: Organisation,
  name: string | undefined,
  error: () => Error,
  options: { after?: boolean } = {},
): void {
  const file = fileOf(org, name);
  const commit = file.commit;
  file.commit = async function (...args) {
    file.commit = commit;
    if (options.after) await commit.apply(this, args);
    throw error();
  };
}

export const killed = () => new Error('The process died.');
