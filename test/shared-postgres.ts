import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PostgresServer, startPostgresServer } from '../src/local/emulators/postgres-server.ts';

/** The environment variable with the URL that answers with the folder of the server. */
export const sharedPostgres = 'TEST_POSTGRES';

/**
 * Vitest runs this once, in its main process, before all test files; what it returns runs after them. A server takes two
 * seconds to start, so it starts when the first test file asks for it, and all files share it.
 */
export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  // It runs once per project of vitest.config.ts, and they share one.
  if (process.env[sharedPostgres] !== undefined) return undefined;
  let server: Promise<OwnPostgres> | undefined;
  const door = createServer(async (_, response) => {
    server ??= startOwnPostgres();
    const folder = await server.then((one) => one.folder).catch(() => undefined);
    response.writeHead(folder === undefined ? 500 : 200).end(folder);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  process.env[sharedPostgres] = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
  return async () => {
    delete process.env[sharedPostgres];
    door.close();
    await (await server)?.stop();
  };
}

export interface OwnPostgres extends PostgresServer {
  /** The folder of its data and its socket. */
  folder: string;
}

/** Starts a server in a new folder, which ends with `stop()` or with this process, however that ends. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = join(tmpdir(), `postgres-${randomBytes(6).toString('hex')}`);
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '100',
  };
  const server = await startPostgresServer({ folder, settings, stop: 'at once', isTemporary: true });
  return { folder, ...server };
}
