import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PostgresProcessOptions } from './postgres-process.ts';

export interface PostgresServer {
  /** The process that owns the server. */
  process: ChildProcess;
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL server, which ends with `stop()` or with this process, however that ends.
 * @throws Error with the end of the server's log
 */
export async function startPostgresServer(options: PostgresProcessOptions): Promise<PostgresServer> {
  const program = fileURLToPath(import.meta.url.replace(/postgres-server(\.[jt]s)$/, 'postgres-process$1'));
  const child = spawn(process.execPath, [program], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C in a terminal is for the parent, which then stops this process.
    detached: process.platform !== 'win32',
  });
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(options)}\n`);
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
  await Promise.race([once(createInterface(child.stdout), 'line'), failed]);
  return { process: child, stop };
}
