import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

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

export interface OwnPostgres {
  /** The folder of its data and its socket. */
  folder: string;
  /** The process that owns the server. */
  process: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a server, which ends with `stop()` or with this process, however that ends. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'postgres-process.ts')], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000);
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.stdin.end();
    await exited;
  };
  const failed = exited.then(() => {
    throw new Error(`PostgreSQL did not start:\n${log}`);
  });
  failed.catch(() => undefined);
  const [folder] = (await Promise.race([once(createInterface(child.stdout), 'line'), failed])) as [string];
  return { folder, process: child, stop };
}
