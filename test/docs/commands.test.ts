import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noTimer } from '../local/start-settings.ts';
import { startPostgres, withClient } from '../postgres.ts';
import { blocks, entitiesExample, firstCells, pages, read, root, section } from './pages.ts';

const hasCurl = spawnSync('curl', ['--version']).status === 0;
const documentation = pages.map(read).join('\n');

describe('what the documentation says to type works', () => {
  let folder: string;
  let app: ChildProcess;
  let url: URL;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'docs-'));
    await writeFile(join(folder, 'entities.json'), entitiesExample());
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
    const statements = blocks('sql', documentation).flatMap((block) =>
      block.split(';').filter((text) => text.trim() !== ''),
    );
    expect(statements.length).toBeGreaterThan(7);
    for (const statement of statements) {
      const found = database.prepare(statement).all();
      // The time in the history query is before any version of rows that were just created.
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
    // These two are there with an export to Fabric alone.
    const exported = ['_sync_changed', '_sync_generations'];
    expect(firstCells(section('docs/database.md', 'Tables of the sync')).sort()).toEqual(
      [...own.map(({ name }) => name), ...exported].sort(),
    );
    database.close();
  });

  test('every statement that prepares PostgreSQL', async () => {
    const statements = blocks('postgresql', documentation).join('\n');
    const address = await (await startPostgres()).createDatabase();
    const readers = await withClient(address, async (client) => {
      await client.query(`BEGIN; CREATE ROLE "func-dataverse";\n${statements}`);
      await client.query('SET ROLE "func-dataverse"; CREATE TABLE dataverse.later (id integer)');
      await client.query('CREATE TABLE dataverse_sync_staging.later (id integer)');
      const sql = `SELECT has_table_privilege('reader', 'dataverse.later', 'SELECT') AS reads,
        has_table_privilege('reader', 'dataverse.later', 'INSERT') AS writes,
        has_schema_privilege('reader', 'dataverse_sync_staging', 'USAGE') AS stages`;
      const { rows } = await client.query(sql);
      await client.query('ROLLBACK');
      return rows;
    });
    expect(readers).toEqual([{ reads: true, writes: false, stages: false }]);
  });

  test.skipIf(!hasCurl)('every curl command (skipped where there is no curl)', async () => {
    const commands = new Set(
      blocks('sh', documentation).flatMap(
        (block) => block.match(/^curl (?:.*\n)*?(?=^curl |\n|(?![\s\S]))/gm) ?? [],
      ),
    );
    expect(commands.size).toBeGreaterThan(7);
    for (const command of commands) {
      // The mirror is a file here. test/local/start-postgres.test.ts sends queries.
      if (command.includes('/api/query')) continue;
      await runEnded();
      const answer = execFileSync(
        'bash',
        ['-c', `curl() { command curl -sS --fail-with-body "$@"; }\n${command}`],
        {
          env: { PATH: process.env['PATH'], URL: url.origin, KEY: url.searchParams.get('code')! },
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      expect(answer, command).toMatch(/^(?:\{|# Schema report|HTTP\/1\.1 20[06] )/);
    }
  });

  test('every ts block, run as a program with the packed client', async () => {
    const client = join(folder, 'client');
    await mkdir(client);
    execFileSync('npm', ['pack', join(root, 'packages/metrics-client'), '--pack-destination', client], {
      cwd: root,
      stdio: 'pipe',
    });
    const [tarball] = await readdir(client);
    // Offline: the package has no dependencies.
    const install = ['install', '--offline', '--no-audit', '--no-fund', `./${tarball}`];
    execFileSync('npm', install, { cwd: client, stdio: 'pipe' });
    const programs = blocks('ts', documentation).filter((text) => text.includes('campaign-metrics-client'));
    expect(programs.length).toBeGreaterThan(0);
    const address = `${url.origin}/api/metrics/campaign`;
    const key = url.searchParams.get('code')!;
    for (const program of programs) {
      const runId = /runId: '(.+?)'/.exec(program)![1]!;
      const child = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
        cwd: client,
        env: { PATH: process.env['PATH'], CAMPAIGN_METRICS_URL: address, CAMPAIGN_METRICS_KEY: key },
        encoding: 'utf8',
      });
      expect(child).toMatchObject({ status: 0, stdout: '', stderr: '' });
      const read = async () =>
        (await (
          await fetch(`${address}?runId=${runId}`, { headers: { 'x-functions-key': key } })
        ).json()) as { items: { runId: string }[] };
      let found = await read();
      // The record is queued first.
      for (
        const until = Date.now() + 60_000;
        found.items.length === 0 && Date.now() < until;
        found = await read()
      )
        await delay(100);
      expect(found.items).toMatchObject([{ runId }]);
    }
  });

  /** Waits until no run is live: a command that starts one would be answered 409. */
  async function runEnded(): Promise<void> {
    const headers = { 'x-functions-key': url.searchParams.get('code')!, accept: 'application/json' };
    for (;;) {
      const status = (await (await fetch(`${url.origin}/api/sync`, { headers })).json()) as {
        active: unknown;
      };
      if (status.active === null) return;
      await delay(100);
    }
  }
});

/** The built app with the example entities.json, after its first sync, with its database copied. */
async function start(folder: string): Promise<{ app: ChildProcess; url: URL }> {
  const args = ['--rows', '1000', '--port', '0', '--data', join(folder, 'data')];
  const files = ['--entities', join(folder, 'entities.json'), '--out', join(folder, 'dataverse.db')];
  const app = spawn(process.execPath, [join(root, 'dist/local/start.js'), ...args, ...files], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...noTimer },
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
