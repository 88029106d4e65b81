import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { postgresBinaries } from './postgres-binaries.ts';

// Runs a PostgreSQL server, and prints a line once it listens. The options come as a line of JSON on standard input: other
// users can see the arguments of a process. When that ends, which it does however the parent ends, the server stops.

/** What the server is to be. */
export interface PostgresProcessOptions {
  /** Its folder, which is made if it is absent. */
  folder: string;
  /** The password of the user `postgres`. Without one, the server listens on a socket in the folder alone. */
  password?: string;
  port?: number;
  /** Settings of the server. */
  settings?: Record<string, string>;
  /** How it ends: `fast` keeps what is stored. @default 'fast' */
  stop?: 'fast' | 'at once';
  /** Delete the folder at the end. */
  isTemporary?: boolean;
}

/** How long the server of an earlier start can take to end. */
const predecessorMilliseconds = 30_000;

const run = promisify(execFile);

/** PostgreSQL refuses to run as root: it runs as the user `nobody` then. */
const isRoot = process.getuid?.() === 0;
const nobody = 65534;
const identity = isRoot ? { uid: nobody, gid: nobody } : {};

for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on('error', () => undefined);
const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
const {
  folder,
  password,
  port = 0,
  settings = {},
  stop = 'fast',
  isTemporary = false,
} = JSON.parse(line) as PostgresProcessOptions;

let isOver = false;
const ended = once(process.stdin.resume(), 'close').then(() => {
  isOver = true;
});
// The parent decides: these reach it, too.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);

const data = join(folder, 'data');

async function create(bin: string): Promise<void> {
  // A folder that was not completed is of no use.
  rmSync(data, { recursive: true, force: true });
  const common = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'];
  const file = join(folder, 'password');
  if (password !== undefined) writeFileSync(file, password, { mode: 0o600 });
  if (password !== undefined && isRoot) chownSync(file, nobody, nobody);
  const how = password === undefined ? ['-A', 'trust'] : ['-A', 'scram-sha-256', '--pwfile', file];
  try {
    await run(join(bin, 'initdb'), [...common, ...how], { ...identity, cwd: folder });
  } finally {
    rmSync(file, { force: true });
  }
  if (password === undefined) {
    // With another user than this one a password is needed.
    writeFileSync(join(data, 'pg_hba.conf'), 'local all postgres trust\nlocal all all scram-sha-256\n');
  }
  writeFileSync(join(folder, 'complete'), '');
}

// A link of somebody else could lead anywhere.
if (existsSync(folder)) {
  const found = lstatSync(folder);
  const own = isRoot ? [0, nobody] : [process.getuid?.() ?? found.uid];
  if (!found.isDirectory() || !own.includes(found.uid))
    throw new Error(`${folder} belongs to somebody else.`);
}
mkdirSync(folder, { recursive: true });
chmodSync(folder, 0o700);
if (isRoot) chownSync(folder, nobody, nobody);
try {
  const bin = postgresBinaries();
  if (!existsSync(join(folder, 'complete'))) await create(bin);
  const state = join(data, 'postmaster.pid');
  // The server of a start that was killed is still on its way out: it writes what it has.
  const latest = performance.now() + predecessorMilliseconds;
  while (!isOver && isRunning(readState()) && performance.now() < latest) await delay(20);
  // What an earlier server said would be taken for this one's.
  const before = readState();
  const address =
    password === undefined ? ['-k', folder, '-h', ''] : ['-h', '127.0.0.1', '-p', String(port), '-k', ''];
  const set = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...address, ...set], {
    ...identity,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(server, 'exit');
  try {
    while (!isOver && !isReady()) {
      if (server.exitCode !== null) throw new Error('PostgreSQL ended.');
      await delay(20);
    }
    if (!isOver) console.log(folder);
    await Promise.race([ended, exited]);
  } finally {
    server.kill(stop === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await exited;
  }
  function isReady(): boolean {
    const text = readState();
    // The first line is the process; the last one says whether it accepts connections.
    return text !== before && text?.split('\n')[7]?.trim() === 'ready';
  }
  /** Whether the process that a state names is there. PostgreSQL would refuse to start beside it. */
  function isRunning(text: string | undefined): boolean {
    const id = Number(text?.split('\n')[0]);
    if (!(id > 0)) return false;
    try {
      process.kill(id, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }
  function readState(): string | undefined {
    try {
      return readFileSync(state, 'utf8');
    } catch {
      return undefined;
    }
  }
} finally {
  if (isTemporary) rmSync(folder, { recursive: true, force: true });
}
process.exit();
