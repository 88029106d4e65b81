import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** A running storage emulator with blob and queue services on ports of its own. */
export interface Azurite {
  connectionString: string;
  blobPort: number;
  queuePort: number;
  stop(): Promise<void>;
}

export interface AzuriteOptions {
  /** Keep the data in this folder, so that it outlives a stop; otherwise all is in memory. */
  folder?: string;
  /** Fixed ports, to come back where clients expect it after a stop. */
  blobPort?: number;
  queuePort?: number;
}

/** Azurite's well-known account; see learn.microsoft.com: Use the Azurite emulator for local Azure Storage development. */
const account = 'devstoreaccount1';
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Starts a real storage emulator as a child process. It ends with `stop()`, or with this process. */
export async function startAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const home = dirname(createRequire(import.meta.url).resolve('azurite/package.json'));
  const persistence =
    options.folder === undefined ? ['--inMemoryPersistence'] : ['--location', options.folder];
  const child = spawn(
    process.execPath,
    [
      join(home, 'dist/src/azurite.js'),
      ...['--silent', '--disableTelemetry', '--skipApiVersionCheck', ...persistence],
      ...['--blobPort', String(options.blobPort ?? 0), '--queuePort', String(options.queuePort ?? 0)],
      ...['--tablePort', '0'],
    ],
    // In memory it still wants a folder that exists, and takes the current one.
    { cwd: options.folder ?? tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const stop = async () => {
    process.off('exit', endWithUs);
    await end(child);
  };
  try {
    const { blobPort, queuePort } = await listeningPorts(child);
    const endpoints = [
      `BlobEndpoint=http://127.0.0.1:${blobPort}/${account}`,
      `QueueEndpoint=http://127.0.0.1:${queuePort}/${account}`,
    ];
    const connectionString = [
      'DefaultEndpointsProtocol=http',
      `AccountName=${account}`,
      `AccountKey=${accountKey}`,
      ...endpoints,
    ].join(';');
    return { connectionString, blobPort, queuePort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The ports that the emulator says it listens on, once it serves all of its services. */
function listeningPorts(child: ChildProcess): Promise<{ blobPort: number; queuePort: number }> {
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
    // Both streams are read to the end: a full pipe would stop the child.
    createInterface({ input: child.stdout! }).on('line', read);
    createInterface({ input: child.stderr! }).on('line', read);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Azurite ended with code ${code}:\n${output}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  // It waits for open connections, which keep-alive clients never close.
  const impatience = setTimeout(() => child.kill('SIGKILL'), 1_000);
  await ended;
  clearTimeout(impatience);
}
