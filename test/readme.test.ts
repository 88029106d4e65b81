import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { entitiesJsonSchema, parseEntities } from '../src/config/entities.ts';
import { readMetricsSettings } from '../src/config/metrics-settings.ts';
import { readSettings } from '../src/config/settings.ts';
import { helpText } from '../src/local/start-options.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const readme = read('README.md');
const manifest = JSON.parse(read('package.json')) as Record<
  'scripts' | 'dependencies' | 'devDependencies',
  Record<string, string>
>;

const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** The text under a heading of the second level. */
function section(heading: string): string {
  const found = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  if (found === undefined) throw new Error(`The README has no section "${heading}".`);
  return found;
}

/** The rows of all tables in a text, cell by cell, without their heads. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => /^\| `/.test(line))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

/** `name` → name */
const plain = (cell: string): string => cell.replace(/^`|`$/g, '');

const firstCells = (text: string): string[] => rows(text).map(([cell]) => plain(cell!));

/** The fenced blocks of one language. */
function blocks(language: string, text = readme): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code!);
}

const entitiesExample = blocks('json', section('entities.json'))[0]!;

describe('the README and the code tell the same', () => {
  test('options of npm start', () => {
    expect(blocks('text', section('Quick start'))).toEqual([helpText]);
  });

  test('app settings and their defaults', () => {
    const settings = rows(section('App settings'));
    const named = settings.map(([name]) => plain(name!));
    const inCode = ['src/config/settings.ts', 'src/config/metrics-settings.ts'].flatMap((path) =>
      [...read(path).matchAll(/^ {2}((?:DATAVERSE|SYNC|METRICS|AzureWebJobsStorage)\w*):/gm)].map(
        ([, name]) => name!,
      ),
    );
    const elsewhere = ['SYNC_SCHEDULE', 'APPLICATIONINSIGHTS_CONNECTION_STRING'];
    expect([...named].sort()).toEqual([...inCode, ...elsewhere].sort());

    const defaults = Object.fromEntries(
      settings.flatMap(([name, value]) => (value?.startsWith('`') ? [[plain(name!), plain(value)]] : [])),
    );
    const required = { DATAVERSE_URL: 'https://contoso.crm.dynamics.com', AzureWebJobsStorage: 'x' };
    expect(readSettings({ ...required, ...defaults })).toEqual(readSettings(required));
    expect(readMetricsSettings(defaults)).toEqual(readMetricsSettings({}));
    const withDefault = inCode.filter((name) =>
      /^(?:SYNC|METRICS)_|_MAX_CONCURRENCY$|_PAGE_SIZE$/.test(name),
    );
    expect(Object.keys(defaults).sort()).toEqual(withDefault.sort());

    const example = JSON.parse(read('local.settings.json.example')) as { Values: Record<string, string> };
    const ofTheHost = ['FUNCTIONS_WORKER_RUNTIME'];
    expect(Object.keys(example.Values).filter((name) => !named.includes(name))).toEqual(ofTheHost);
  });

  test('keys of entities.json, each with an example', () => {
    const properties = new Set<string>();
    JSON.stringify(entitiesJsonSchema(), (key, value) => {
      if (key === 'properties' && 'filtered' in value)
        for (const name of Object.keys(value)) properties.add(name);
      return value;
    });
    expect(firstCells(section('entities.json'))).toEqual([...properties]);
    const { entities } = JSON.parse(entitiesExample) as { entities: (string | object)[] };
    expect(parseEntities(JSON.parse(entitiesExample))).toHaveLength(entities.length);
    const used = new Set(entities.flatMap((entry) => (typeof entry === 'string' ? [] : Object.keys(entry))));
    expect([...used].sort()).toEqual([...properties].sort());
  });

  test('functions, their routes, queues and methods', () => {
    const files = readdirSync(join(root, 'src/functions')).map((file) => file.replace('.ts', ''));
    const table = rows(section('HTTP API'));
    expect(table.map(([name]) => plain(name!)).sort()).toEqual(files.sort());
    for (const [name, trigger] of table) {
      const source = read(`src/functions/${plain(name!)}.ts`);
      const route = /route: '(.+?)'/.exec(source)?.[1];
      if (route === undefined) {
        expect(trigger).toMatch(source.includes('app.timer') ? /^timer/ : /^queue/);
        continue;
      }
      expect(trigger).toContain(`/api/${route}\``);
      const methods = [...source.matchAll(/\b(GET|POST)(?:: \w+|')/g)].map(([, method]) => method);
      expect(methods).not.toEqual([]);
      for (const method of methods) expect(trigger).toContain(method);
    }
  });

  test('npm scripts', () => {
    const said = [...readme.matchAll(/npm (?:run (?:-s )?([\w:]+)|(start|test)\b)/g)].map(
      ([, run, own]) => run ?? own!,
    );
    expect([...new Set(said)].sort()).toEqual(Object.keys(manifest.scripts).sort());
  });

  test('dependencies, each with its reason', () => {
    const { dependencies, devDependencies } = manifest;
    const said = firstCells(section('Development').split('Every dependency')[1]!);
    expect(said).toEqual([...Object.keys(dependencies), ...Object.keys(devDependencies)]);
  });

  test('folders and links', () => {
    const folders = blocks('text', section('Development'))[0]!.match(/^src\/[\w-]+\/(?= )/gm)!;
    const inSource = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(folders.sort()).toEqual(inSource.map(({ name }) => `src/${name}/`).sort());
    const headings = [...readme.matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
      text!.toLowerCase().replaceAll(' ', '-'),
    );
    for (const [, target] of readme.matchAll(/\]\(([^)]+)\)/g)) {
      if (target!.startsWith('#')) expect(headings).toContain(target!.slice(1));
      else expect(existsSync(join(root, target!)), target).toBe(true);
    }
  });
});

describe('what the README says to type works', () => {
  let folder: string;
  let app: ChildProcess;
  let url: URL;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'readme-'));
    await writeFile(join(folder, 'entities.json'), entitiesExample);
    ({ app, url } = await start(folder));
  });

  afterAll(async () => {
    if (app?.exitCode === null) {
      app.kill('SIGTERM');
      await once(app, 'close');
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test('every query, against a database of the example entities.json', () => {
    const database = new DatabaseSync(join(folder, 'dataverse.db'), { readOnly: true });
    const statements = blocks('sql').flatMap((block) =>
      block.split(';').filter((text) => text.trim() !== ''),
    );
    expect(statements.length).toBeGreaterThan(7);
    for (const statement of statements) {
      const found = database.prepare(statement).all();
      // The moment of the history query lies before any version of rows that were just made.
      const isHistory = statement.includes('contacts_history');
      if (isHistory) expect(found).toEqual([]);
      else expect(found, statement).not.toEqual([]);
      if (isHistory) {
        const now = statement.replaceAll(/'20[^']+'/g, `'${new Date().toISOString()}'`);
        const { n } = database.prepare('SELECT count(*) AS n FROM contacts').get() as { n: number };
        expect(database.prepare(now).all()).toHaveLength(n);
      }
    }
    const own = database
      .prepare(String.raw`SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '\_%' ESCAPE '\'`)
      .all() as { name: string }[];
    const said = firstCells(section('What lands in the file')).filter((name) => name.startsWith('_'));
    expect(said.sort()).toEqual(own.map(({ name }) => name).sort());
    database.close();
  });

  test.skipIf(!hasCurl)('every curl command (skipped where there is no curl)', () => {
    const commands = blocks('sh').flatMap(
      (block) => block.match(/^curl (?:.*\n)*?(?=^curl |\n|(?![\s\S]))/gm) ?? [],
    );
    expect(commands.length).toBeGreaterThan(6);
    for (const command of commands) {
      const answer = execFileSync(
        'bash',
        ['-c', `curl() { command curl -sS --fail-with-body "$@"; }\n${command}`],
        {
          env: { PATH: process.env['PATH'], URL: url.origin, KEY: url.searchParams.get('code')! },
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      expect(answer, command).toMatch(/^(?:\{|# Schema report)/);
    }
  });
});

/** The built app with the README's entities.json; its first sync is over, its database copied. */
async function start(folder: string): Promise<{ app: ChildProcess; url: URL }> {
  const args = ['--rows', '1000', '--port', '0', '--data', join(folder, 'data')];
  const files = ['--entities', join(folder, 'entities.json'), '--out', join(folder, 'dataverse.db')];
  const app = spawn(process.execPath, [join(root, 'dist/local/start.js'), ...args, ...files], {
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  app.stderr!.on('data', (chunk) => (output += chunk));
  for await (const chunk of app.stdout!.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const address = /^Status +(\S+)\n/m.exec(output)?.[1];
    if (address !== undefined) {
      app.stdout!.resume();
      return { app, url: new URL(address) };
    }
  }
  throw new Error(`It ended without a status address:\n${output}`);
}
