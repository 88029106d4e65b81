import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { addressIn, withClient } from '../../postgres.ts';
import { startOwnPostgres } from '../../shared-postgres.ts';

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('the server of the tests ends with the pipe of the process that started it, and its folder is gone', async () => {
  const server = await startOwnPostgres();
  const { folder } = server;
  const one = await withClient(addressIn(folder), (client) => client.query('SELECT 1 AS one'));
  expect(one.rows).toEqual([{ one: 1 }]);
  const pid = Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  // As the kernel does when a process is killed.
  server.process.stdin!.destroy();
  while (isRunning(server.process.pid!) && isRunning(pid)) await delay(20);
  while (isRunning(server.process.pid!)) await delay(20);
  expect([isRunning(pid), existsSync(folder)]).toEqual([false, false]);
});
