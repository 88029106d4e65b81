/**
 * `npm run example -- NAME`: runs an example of docs/examples with the packages of this checkout. Without `DATAVERSE_URL`, with
 * a sample Dataverse. Further arguments go to the example.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { buildLibrary } from './library/build-library.ts';

const root = resolve(import.meta.dirname, '..');
const examples = join(root, 'docs/examples');
const [name = '', ...rest] = process.argv.slice(2);
/** A folder that was given is kept, so that a second start finds what the first one left. */
const given = process.env['EXAMPLE_FOLDER'];
if (given !== undefined) mkdirSync(given, { recursive: true });
const folder = given === undefined ? mkdtempSync(join(tmpdir(), 'example-')) : resolve(given);
const running: ChildProcess[] = [];

/** Starts a program of this checkout. */
function start(script: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  return child;
}

/** The first line of a program's output that the pattern matches. */
function lineOf(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((found, fail) => {
    child.once('exit', (code) => fail(new Error(`${child.spawnargs[1]} ended with ${code}.`)));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const match = pattern.exec(line);
      if (match !== null) found(match);
    });
  });
}

/** Runs a program to its end. */
function run(script: string, args: readonly string[], env: Record<string, string>): Promise<number> {
  const child = start(script, args, env);
  child.stdout!.pipe(process.stdout);
  return new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
}

/** Lets the imports of the examples find the package of this checkout. */
async function linkLibrary(): Promise<void> {
  const library = join(root, 'packages/dataverse-sqlite-sync');
  await buildLibrary(root, join(library, 'dist'));
  const modules = join(examples, 'node_modules');
  rmSync(modules, { recursive: true, force: true });
  mkdirSync(modules);
  symlinkSync(library, join(modules, 'dataverse-sqlite-sync'), 'junction');
}

async function sampleDataverse(): Promise<Record<string, string>> {
  const script = join(root, 'dist/local/sample-dataverse/main.js');
  const [, url] = await lineOf(start(script, ['--rows', '20000'], {}), /"url":"(.+?)"/);
  return { DATAVERSE_URL: url!, DATAVERSE_ACCESS_TOKEN: 'sample' };
}

/** What some examples need besides Dataverse. */
async function prepare(env: Record<string, string>): Promise<Record<string, string>> {
  if (name === 'query-and-analytics') {
    const file = join(folder, 'my.db');
    const args = ['sync', '--tables', 'account,contact', '--out', file, '--quiet'];
    const code = await run(join(root, 'dist/cli/main.js'), args, env);
    if (code !== 0) throw new Error(`The sync of the mirror ended with ${code}.`);
    return { MIRROR_FILE: file };
  }
  if (name === 'near-real-time' && process.env['APP_URL'] === undefined) {
    const url = process.env['DATAVERSE_URL'] ?? env['DATAVERSE_URL']!;
    const args = ['--dataverse', url, '--data', join(folder, 'data'), '--out', join(folder, 'my.db')];
    const app = start(join(root, 'dist/local/start.js'), [...args, '--port', '17071'], env);
    const [, at, key] = await lineOf(app, /^Status +(http.+)\/api\/sync\?code=(\S+)/);
    return { APP_URL: at!, FUNCTION_KEY: key! };
  }
  return {};
}

if (!existsSync(join(examples, name, 'run.ts')) || name === '') {
  const names = readdirSync(examples, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name !== 'node_modules',
  );
  console.error(`npm run example -- NAME, with one of: ${names.map((entry) => entry.name).join(', ')}`);
  process.exit(2);
}
try {
  await linkLibrary();
  const dataverse = process.env['DATAVERSE_URL'] === undefined ? await sampleDataverse() : {};
  const env = { ...dataverse, EXAMPLE_FOLDER: folder, ...(await prepare(dataverse)) };
  process.exitCode = await run(join(examples, name, 'run.ts'), rest, env);
} finally {
  for (const child of running) child.kill();
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}
