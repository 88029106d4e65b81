import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgresServer } from '../../../src/local/emulators/postgres-server.ts';

test('a server waits for the one of an earlier start, which is on its way out', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postgres-server-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const processId = () => Number(readFileSync(join(folder, 'data/postmaster.pid'), 'utf8').split('\n')[0]);

  const first = await startPostgresServer({ folder });
  const id = processId();
  process.kill(id, 'SIGSTOP');
  const stopped = first.stop();
  const second = startPostgresServer({ folder });
  // It has found the other one by then; if it has not yet, there is nothing to wait for.
  await Promise.race([second.catch(() => undefined), delay(500)]);
  process.kill(id, 'SIGCONT');
  await stopped;
  const server = await second;
  expect(processId()).not.toBe(id);
  await server.stop();
});
