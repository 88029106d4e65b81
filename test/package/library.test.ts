import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

/** The package as its users get it: packed, installed into an empty folder, loaded in every way. */

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const name = 'dataverse-sqlite-sync';
let folder: string;
let installed: string;
let sample: SampleDataverse;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'library-'));
  const tarballs = join(folder, 'tarballs');
  mkdirSync(tarballs);
  execFileSync('npm', ['pack', join(root, 'packages', name), '--pack-destination', tarballs], {
    cwd: root,
    stdio: 'pipe',
  });
  const [tarball] = readdirSync(tarballs);
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  // Offline: the package has no dependencies.
  const install = ['install', '--offline', '--no-audit', '--no-fund', join(tarballs, tarball!)];
  execFileSync('npm', install, { cwd: folder, stdio: 'pipe' });
  installed = join(folder, 'node_modules', name);
  sample = await startSampleDataverse({ rows: 300, token: 'token-of-the-package-test' });
});

afterAll(async () => {
  await sample?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('the package brings nothing else, and stays small', () => {
  expect(readdirSync(join(folder, 'node_modules')).filter((entry) => !entry.startsWith('.'))).toEqual([name]);
  const bytes = (path: string) => statSync(join(installed, path)).size;
  // A mirror brings SQLite: 660 kB of WebAssembly, as text.
  const limits = { dataverse: [280_000, 75_000], mirror: [1_100_000, 500_000], schema: [200_000, 60_000] };
  Object.assign(limits, { 'metrics-client': [16_000, 6_000] });
  for (const [entry, [size, zipped]] of Object.entries(limits)) {
    for (const file of [`dist/${entry}.mjs`, `dist/${entry}.cjs`]) {
      expect(bytes(file), file).toBeLessThan(size!);
      expect(gzipSync(readFileSync(join(installed, file))).length, file).toBeLessThan(zipped!);
    }
  }
  const files = globSync('**/*', { cwd: installed }).filter((path) =>
    statSync(join(installed, path)).isFile(),
  );
  const isExpected = /\.(mjs|cjs|d\.ts|txt|json)$|^LICENSE$|^README\.md$|^dist\/cli\/[\w-]+\.(js|wasm)$/;
  expect(files.filter((path) => !isExpected.test(path))).toEqual([]);
  // An import of it loads what no command needs.
  const importing = files.filter(
    (path) =>
      path.startsWith('dist/cli/') &&
      /\.js$/.test(path) &&
      /\bfrom\s*"(?:node:)?http"/.test(readFileSync(join(installed, path), 'utf8')),
  );
  expect(importing).toEqual([]);
  const ofTheLibrary = files.filter((path) => !/^dist\/(?:cli|mirror)/.test(path));
  expect(ofTheLibrary.reduce((sum, path) => sum + bytes(path), 0)).toBeLessThan(1_100_000);
  expect(files.reduce((sum, path) => sum + bytes(path), 0)).toBeLessThan(10_000_000);
});

/** This Node.js, and another one that the machine has. The package promises 20 and later. */
const nodes = [
  process.execPath,
  ...process.env['PATH']!.split(delimiter)
    .filter((path) => !path.includes('node_modules'))
    .map((path) => join(path, 'node'))
    .filter((path) => spawnSync(path, ['--version']).status === 0)
    .slice(0, 1),
];

const use = `
const main = async ({ createDataverse, createCredential, exactNumber, RequestError }) => {
  const dataverse = createDataverse({
    url: process.env.URL, credential: createCredential({ accessToken: 'token-of-the-package-test' }),
  });
  const accounts = dataverse.table('account');
  const id = await accounts.create({ name: "O'Brien", revenue: exactNumber('9007199254740.1234') });
  const [row] = await accounts.query().select('name').where((f) => f.eq('name', "O'Brien")).toArray();
  const error = await accounts.update(id, { nothing: 1 }).catch((caught) => caught);
  const many = await accounts.createMany([{ name: 'a' }, { nothing: 1 }]);
  const missing = await createDataverse({
    url: process.env.URL, credential: createCredential({ tenantId: 't', clientId: 'c', clientSecret: 's' }),
  }).whoAmI().catch((caught) => caught.hint);
  console.log(JSON.stringify([row.name, error instanceof RequestError, many.succeeded, missing]));
};`;

const programs = {
  'ES module': `import * as library from '${name}/dataverse';${use}await main(library);`,
  CommonJS: `const library = require('${name}/dataverse');${use}main(library);`,
};

test.each(Object.entries(programs))('works as %s, without @azure/identity', async (kind, program) => {
  const file = join(folder, kind === 'CommonJS' ? 'use.cjs' : 'use.mjs');
  writeFileSync(file, program);
  for (const node of nodes) {
    // Not synchronously: this process has the server.
    const { stdout, stderr } = await run(node, [file], { cwd: folder, env: { URL: sample.url } });
    expect({ node, stderr, found: JSON.parse(stdout) }).toEqual({
      node,
      stderr: '',
      found: ["O'Brien", true, 1, expect.stringContaining('npm install @azure/identity')],
    });
    const revenues = [...sample.store.truth('account').values()].map(({ revenue }) => revenue);
    expect(revenues).toContain('9007199254740.1234');
  }
});

const read = `
const main = async ({ openMirror, describeTables }, { tablesFromMetadata, createTableSql }) => {
  const mirror = await openMirror('my.db');
  const [{ n }] = await mirror.query('SELECT count(*) AS n FROM accounts');
  const tables = await describeTables(mirror);
  await mirror.close();
  const document = require('node:fs').readFileSync('metadata.xml');
  const found = tablesFromMetadata(document, ['account']).tables;
  console.log(JSON.stringify([n, tables.map(({ name }) => name), createTableSql(found[0]).slice(0, 23)]));
};`;

test('the command line makes a mirror, and programs read it, in every way', async () => {
  const main = join(installed, 'dist/cli/main.js');
  const env = { PATH: process.env['PATH'], DATAVERSE_ACCESS_TOKEN: 'token-of-the-package-test' };
  const sync = ['sync', '--dataverse', sample.url, '--tables', 'account', '--out', 'my.db', '--json'];
  const first = JSON.parse((await run(process.execPath, [main, ...sync], { cwd: folder, env })).stdout);
  expect(first).toMatchObject({ phase: 'complete', totals: { added: sample.store.count('account') } });
  const again = JSON.parse((await run(process.execPath, [main, ...sync], { cwd: folder, env })).stdout);
  expect(again.totals).toMatchObject({ added: 0, updated: 0 });
  const asked = await run(process.execPath, [main, 'query', 'my.db', 'SELECT 1 AS one'], { cwd: folder });
  expect(asked.stdout).toBe('one\r\n1\r\n');
  // The bundle has the texts of what validates.
  writeFileSync(join(folder, 'entities.json'), '[{ "name": "account", "massDeleteLimit": 5 }]');
  const wrong = [main, 'check', '--dataverse', sample.url, '--entities', 'entities.json'];
  await expect(run(process.execPath, wrong, { cwd: folder, env })).rejects.toThrow(
    'expected number to be <=1',
  );
  const metadata = await fetch(`${sample.url}/api/data/v9.2/$metadata`, {
    headers: { authorization: 'Bearer token-of-the-package-test' },
  });
  writeFileSync(join(folder, 'metadata.xml'), await metadata.text());

  const programsToRead = {
    'read.mjs': `import * as mirror from '${name}/mirror'; import * as schema from '${name}/schema';
      import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);${read}await main(mirror, schema);`,
    'read.cjs': `${read}main(require('${name}/mirror'), require('${name}/schema'));`,
  };
  for (const [file, program] of Object.entries(programsToRead)) {
    writeFileSync(join(folder, file), program);
    // Bundled again, it has no files beside it.
    const bundled = join(folder, `bundled-${file.replace('.', '-')}.cjs`);
    if (file === 'read.cjs') {
      const { warnings } = await build({
        ...{ entryPoints: [join(folder, file)], bundle: true, platform: 'node', format: 'cjs' },
        ...{ outfile: bundled, logLevel: 'silent' },
      });
      expect(warnings).toEqual([]);
    }
    for (const node of nodes) {
      for (const one of file === 'read.cjs' ? [join(folder, file), bundled] : [join(folder, file)]) {
        const { stdout, stderr } = await run(node, [one], { cwd: folder });
        expect({ node, one, stderr, found: JSON.parse(stdout) }).toEqual({
          ...{ node, one, stderr: '' },
          found: [sample.store.count('account'), ['accounts'], 'CREATE TABLE "accounts"'],
        });
      }
    }
  }
});

test('sends campaign metrics, in every way, and in a browser', async () => {
  const bodies: unknown[] = [];
  const server = createServer(async (request, response) => {
    bodies.push(JSON.parse(Buffer.concat(await request.toArray()).toString()));
    response.writeHead(202, { 'content-type': 'application/json' }).end('[{"status":202}]');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/metrics/campaign`;
  const send = `
const main = async ({ CampaignMetricsClient }) => {
  const client = new CampaignMetricsClient({ url: '${url}', key: 'k' });
  client.write({ campaignId: 'spring', runId: 'run-1', agentsTotal: 1, agentsSuccessful: 1 });
  await client.close();
};`;
  const programs = {
    'send.mjs': `import * as metrics from '${name}/metrics-client';${send}await main(metrics);`,
    'send.cjs': `const metrics = require('${name}/metrics-client');${send}main(metrics);`,
  };
  for (const [file, program] of Object.entries(programs)) {
    writeFileSync(join(folder, file), program);
    for (const node of nodes) {
      const { stderr } = await run(node, [join(folder, file)], { cwd: folder });
      expect({ node, file, stderr }).toEqual({ node, file, stderr: '' });
      expect(JSON.stringify(bodies.splice(0))).toContain('"runId":"run-1"');
    }
  }
  server.close();
  // No module of Node.js: a bundle for browsers has everything.
  const { warnings, errors } = await build({
    ...{ entryPoints: [join(folder, 'send.mjs')], bundle: true, platform: 'browser', format: 'esm' },
    ...{ write: false, logLevel: 'silent' },
  });
  expect([warnings, errors]).toEqual([[], []]);
  for (const file of ['mjs', 'cjs'])
    expect(readFileSync(join(installed, `dist/metrics-client.${file}`), 'utf8')).not.toMatch(
      /require\("|from "node:/,
    );
});

test('a bundler takes it without warnings, and only what is used', async () => {
  writeFileSync(join(folder, 'entry.mjs'), `export { filters } from '${name}/dataverse';\n`);
  const bundle = async (entry: string, conditions: string[]) => {
    const { outputFiles, warnings } = await build({
      stdin: { contents: entry, resolveDir: folder },
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions,
      write: false,
      logLevel: 'silent',
    });
    expect(warnings).toEqual([]);
    return outputFiles[0]!.contents.length;
  };
  const all = await bundle(`import * as all from '${name}/dataverse'; console.log(all);`, []);
  const part = await bundle(`import { filters } from '${name}/dataverse'; console.log(filters);`, []);
  expect(part).toBeLessThan(all / 3);
});

test('the types need no other package, as ES module and CommonJS', () => {
  const text = `
import { createDataverse, createCredential, defineTable, type Row } from '${name}/dataverse';
import { type Mirror, openMirror, type Value } from '${name}/mirror';
import { type Table, tablesFromMetadata } from '${name}/schema';
import { type CampaignMetricsInput, writeCampaignMetrics } from '${name}/metrics-client';
export const metrics: CampaignMetricsInput = { campaignId: 'spring', runId: 'run-1' } as CampaignMetricsInput;
void writeCampaignMetrics;
export async function names(mirror: Mirror): Promise<string[]> {
  const rows = await mirror.query<{ name: string }>('SELECT name FROM accounts');
  const value: Value | undefined = (await mirror.execute('SELECT 1')).rows[0]?.[0];
  void [openMirror, tablesFromMetadata, value];
  return rows.map(({ name }) => name);
}
export type { Table };
interface Account { accountid: string; name: string | null; revenue: number | null }
const dataverse = createDataverse({ url: 'https://contoso.crm.dynamics.com', credential: createCredential({}) });
const accounts = dataverse.table(defineTable<Account>({ logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' }));
export async function use(): Promise<Row> {
  const found = await accounts.query().select('name').toArray();
  const name: string | null | undefined = found[0]?.name;
  // @ts-expect-error: the column is not selected
  found[0]?.revenue;
  // @ts-expect-error: there is no such column
  accounts.query().select('nmae');
  return { name };
}
`;
  for (const ending of ['mts', 'cts']) writeFileSync(join(folder, `types.${ending}`), text);
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2023,dom',
  ];
  const types = ['--types', '', '--ignoreConfig', 'types.mts', 'types.cts'];
  const { stdout } = spawnSync(process.execPath, [tsc, ...options, ...types], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});
