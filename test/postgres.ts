import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { sharedPostgres } from './shared-postgres.ts';

export interface TestPostgres {
  /** A connection string for the new database of a test. */
  createDatabase(): Promise<string>;
}

/** The server of all test files (shared-postgres.ts), with databases of its own for each test. */
export async function startPostgres(): Promise<TestPostgres> {
  const response = await fetch(process.env[sharedPostgres]!);
  const folder = await response.text();
  if (!response.ok) throw new Error('PostgreSQL did not start.');
  return {
    async createDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`;
      await withClient(addressIn(folder), (client) => client.query(`CREATE DATABASE ${name}`));
      return addressIn(folder, name);
    },
  };
}

/** The connection string of a database of the server with this folder. */
export function addressIn(folder: string, database = 'postgres'): string {
  return `postgresql://postgres@localhost/${database}?host=${folder}`;
}

/** Connects as a program would that knows nothing of the mirror. */
export async function withClient<T>(address: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(address);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
