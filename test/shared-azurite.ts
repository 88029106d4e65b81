import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emulatorAccount, publicKey } from '../src/local/emulators/storage-emulator.ts';
import { startOwnAzurite } from './azurite.ts';
import { accountsOfTests, type SharedAzurite, sharedAzurite } from './azurite-accounts.ts';

/** Vitest runs this once, in its main process, before all test files; what it returns runs after them. */
export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  // It runs once per project of vitest.config.ts, and they share one.
  if (process.env[sharedAzurite] !== undefined) return undefined;
  const claims = mkdtempSync(join(tmpdir(), 'azurite-accounts-'));
  const accounts = accountsOfTests({ name: emulatorAccount, key: publicKey });
  const azurite = await startOwnAzurite({ accounts });
  const { blobPort, queuePort } = azurite;
  process.env[sharedAzurite] = JSON.stringify({ blobPort, queuePort, claims } satisfies SharedAzurite);
  return async () => {
    delete process.env[sharedAzurite];
    await azurite.stop();
    rmSync(claims, { recursive: true, force: true });
  };
}
