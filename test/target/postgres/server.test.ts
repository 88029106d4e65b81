import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { addressIn, withClient } from '../../postgres.ts';
import { startOwnPostgres } from '../../shared-postgres.ts';
import { Organisation } from '../../sync/organisation.ts';

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

test('a server that crashes in a merge, and recovers, costs nothing but time', async () => {
  const server = await startOwnPostgres();
  const org = await Organisation.start(
    [{ name: 'account', history: true }, 'lead'],
    {},
    {},
    undefined,
    addressIn(server.folder),
  );
  try {
    const [account] = org.rows('account', 20);
    org.rows('lead', 20);
    await org.sync();
    org.store.update('account', account!, { name: 'changed' });
    org.rows('lead', 5);
    // Where all of the round is in the transaction, and nothing is committed.
    const { mirror } = org.harness.services;
    const transaction = mirror.transaction.bind(mirror);
    let crashes = 0;
    mirror.transaction = (options, work) =>
      transaction(options, async (one) => {
        const commit = one.commit.bind(one);
        one.commit = async (contents) => {
          if (crashes++ === 0) await crash(server.folder);
          return commit(contents);
        };
        return work(one);
      });
    // The queue gives a message again after a while; by then the server has recovered.
    org.harness.onFailure = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    await org.sync();
    expect(crashes).toBe(2);
    await org.expectMirror('account', 'lead');
    const [row] = await org.query('SELECT (SELECT count(*) FROM accounts_history) AS versions');
    expect(row).toEqual({ versions: 21 });
  } finally {
    await org.stop();
    await server.stop();
  }
});

/** Kills the process that merges. The server then ends all others, and recovers from its log. */
async function crash(folder: string): Promise<void> {
  const { rows } = await withClient(addressIn(folder), (client) =>
    client.query(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'dataverse-sqlite-sync' AND state = 'idle in transaction'`,
    ),
  );
  expect(rows).toHaveLength(1);
  process.kill(Number(rows[0].pid), 'SIGKILL');
}
