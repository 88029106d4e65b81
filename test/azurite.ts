import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  emulatorConnectionString,
  type StorageEmulator,
  type StorageEmulatorOptions,
  type StorageEmulatorPorts,
} from '../src/local/emulators/storage-emulator.ts';
import { claimAccount } from './azurite-accounts.ts';

/** A storage account of an emulator, with nothing in it that another test made. */
export type Azurite = Omit<StorageEmulator, 'onQueueMessage'>;

/** Fixed ports let clients reconnect after a stop. `accounts` has the form of AZURITE_ACCOUNTS. */
export type AzuriteOptions = Partial<StorageEmulatorOptions> & { accounts?: string };

/**
 * An empty storage account. A process of Azurite takes a second to start, so all test files share one and each call
 * gets an account of it (see azurite-accounts.ts). A test that stops the emulator, or needs a folder or ports, uses
 * `startOwnAzurite`.
 */
export async function startAzurite(): Promise<Azurite> {
  return (await claimAccount()) ?? startOwnAzurite();
}

/**
 * Starts Azurite as a child process, which ends with `stop()` or with this process. Without a folder the data stays in
 * memory.
 */
export async function startOwnAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const persistence =
    options.folder === undefined ? ['--inMemoryPersistence'] : ['--location', options.folder];
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, 'azurite-process.ts'),
      ...['--silent', '--disableTelemetry', '--skipApiVersionCheck', ...persistence],
      ...['--blobPort', String(options.blobPort ?? 0), '--queuePort', String(options.queuePort ?? 0)],
      ...['--tablePort', '0'],
    ],
    // Even in memory Azurite needs an existing folder: the current one.
    {
      cwd: options.folder ?? tmpdir(),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(options.accounts !== undefined && { AZURITE_ACCOUNTS: options.accounts }) },
    },
  );
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const stop = async () => {
    process.off('exit', endWithUs);
    await end(child);
  };
  try {
    const ports = await listeningPorts(child);
    return { ...ports, connectionString: emulatorConnectionString(ports), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The ports that Azurite prints, once all three services listen. */
function listeningPorts(child: ChildProcess): Promise<StorageEmulatorPorts> {
  return new Promise((resolve, reject) => {
    const ports = new Map<string, number>();
    let output = '';
    const read = (line: string) => {
      output += `${line}\n`;
      const found = /^Azurite (\w+) service is successfully listening at \S+:(\d+)/.exec(line);
      if (found === null) return;
      ports.set(found[1]!, Number(found[2]));
      if (ports.size === 3) resolve({ blobPort: ports.get('Blob')!, queuePort: ports.get('Queue')! });
    };
    // Read both streams to the end: a full pipe would block the child.
    createInterface({ input: child.stdout! }).on('line', read);
    createInterface({ input: child.stderr! }).on('line', read);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Azurite ended with code ${code}:\n${output}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  // A service reports that it is closed once its data is written. Azurite then waits for open connections, which
  // keep-alive clients never close.
  let open = 3;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (/^Azurite \w+ service successfully closed/.test(line) && --open === 0) child.kill('SIGKILL');
  });
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await ended;
  clearTimeout(timer);
}
