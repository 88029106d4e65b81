import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings } from '../../src/config/settings.ts';
import {
  type Fault,
  type SampleDataverse,
  startSampleDataverse,
} from '../../src/local/sample-dataverse/index.ts';
import { startAzurite } from '../azurite.ts';
import { compileCache } from '../compile-cache.ts';
import { deploy } from '../package/deployed-app.ts';
import { read, root, section } from './pages.ts';

const examples = join(root, 'docs/examples');
let sample: SampleDataverse;
/** A copy of the examples whose imports are the sources of the packages. */
let copy: string;
let folder: string;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 1_000 });
  copy = await mkdtemp(join(root, 'test/docs/.examples-'));
  for (const path of await readdir(examples, { recursive: true })) {
    if (!path.endsWith('.ts') || path.includes('node_modules')) continue;
    const depth = path.split(/[\\/]/).length + 2;
    const text = await readFile(join(examples, path), 'utf8');
    const imports = text.match(/^(?:import|\} from) .*'(?!\.|node:).*';$/gm) ?? [];
    // Nothing but the public entries.
    for (const line of imports) expect(line).toMatch(/'dataverse-sqlite-sync\/(?:dataverse|mirror|schema)'/);
    await mkdir(join(copy, path, '..'), { recursive: true });
    const source = `'${'../'.repeat(depth)}src/library/$1.ts'`;
    await writeFile(join(copy, path), text.replaceAll(/'dataverse-sqlite-sync\/(\w+)'/g, source));
  }
  await cp(join(examples, 'package.json'), join(copy, 'package.json'));
  folder = join(copy, 'files');
  await mkdir(folder);
});
afterAll(async () => {
  await sample.stop();
  await rm(copy, { recursive: true });
});

/** Runs an example as a process. */
function run(
  name: string,
  env: Record<string, string> = {},
  args: string[] = [],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(copy, name, 'run.ts'), ...args], {
    env: {
      ...{ DATAVERSE_URL: sample.url, DATAVERSE_ACCESS_TOKEN: 'test', EXAMPLE_FOLDER: folder },
      ...{ ...compileCache, ...env },
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return new Promise((done) => child.once('exit', (code) => done({ code, output })));
}

/** Rows as Dataverse shows them, read without the code of the packages. */
async function rowsOf(query: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${sample.url}/api/data/v9.2/${query}`, {
    headers: { authorization: 'Bearer test' },
  });
  return ((await response.json()) as { value: Record<string, unknown>[] }).value;
}

test('transactional CRUD: all or nothing, also when responses are lost and processes start again', async () => {
  // The first transaction, then that of a raise.
  sample.faults.add({ kind: 'commit-then-reset', match: /POST .*\$batch/ });
  sample.faults.add({ kind: 'commit-then-reset', match: /POST .*\$batch/, after: 1 });
  const { code, output } = await run('transactional-crud');
  expect([code, output]).toEqual([0, expect.stringContaining('The response was lost.')]);
  expect(output.split('The response was lost.')).toHaveLength(3);
  const order = JSON.parse(await readFile(join(folder, 'order.json'), 'utf8')) as { accountId: string };
  const account = async () => (await rowsOf(`accounts?$filter=accountid eq ${order.accountId}`))[0]!;
  const opened = await account();
  expect(opened).toMatchObject({ name: 'Fabrikam', creditlimit: 1300.5 });
  const contacts = await rowsOf(`contacts?$filter=_parentcustomerid_value eq ${order.accountId}`);
  expect(contacts.map((row) => row['contactid'])).toEqual([opened['_primarycontactid_value']]);
  expect(output).toContain('rolled back true\nexists false');
  expect([...sample.store.truth('account').values()].map((row) => row['name'])).not.toContain('Never there');
  // A new process has the same order, and does nothing a second time.
  expect(await run('transactional-crud')).toMatchObject({ code: 0 });
  expect(await account()).toEqual(opened);
});

test('batch processing: a crash and invalid rows lose and repeat nothing', async () => {
  const before = sample.store.truth('lead').size;
  const env = { EXAMPLE_ROWS: '2500' };
  expect(await run('batch-processing', { ...env, EXAMPLE_DIE_AT: '2000' })).toMatchObject({ code: 137 });
  sample.faults.add({ kind: '503', match: /POST .*Multiple/, times: 2, retryAfter: 0 });
  const { code, output } = await run('batch-processing', env);
  expect([code, output]).toEqual([0, expect.stringContaining('starting at row 1000')]);
  // Each row but the five invalid ones, once.
  expect(sample.store.truth('lead').size - before).toBe(2495);
  const rejected = (await readFile(join(folder, 'rejected.jsonl'), 'utf8')).trimEnd().split('\n');
  const numbers = rejected.map((line) => (JSON.parse(line) as { number: number }).number);
  expect([...new Set(numbers)]).toEqual([7, 507, 1007, 1507, 2007]);
  expect(await run('batch-processing', env)).toMatchObject({
    output: expect.stringContaining('starting at row 2500\n0 written, 0 rejected: 0 requests'),
  });
});

test.each<[string, Fault]>([
  [
    'a missing privilege',
    { kind: 'error', status: 403, code: '0x80040220', message: 'Principal user is missing prvCreateLead' },
  ],
  ['throttling that does not end', { kind: '429', retryAfter: 3_600 }],
])('batch processing: %s rejects no row', async (_, fault) => {
  const EXAMPLE_FOLDER = join(folder, fault.kind);
  await mkdir(EXAMPLE_FOLDER);
  const active = sample.faults.add({ ...fault, match: /POST .*Multiple/, times: 1_000 });
  const env = { EXAMPLE_FOLDER, EXAMPLE_ROWS: '30' };
  const { code, output } = await run('batch-processing', env);
  expect([code, output]).toEqual([1, expect.stringMatching(/Error: /)]);
  expect(await readdir(EXAMPLE_FOLDER)).toEqual([]);
  active.remove();
  expect(await run('batch-processing', env)).toMatchObject({
    output: expect.stringContaining('starting at row 0\n29 written, 1 rejected'),
  });
});

test('query and analytics: both give the same answers, at the cost that is printed', async () => {
  const settings = readSettings({
    DATAVERSE_URL: sample.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  });
  const quiet = { log: () => undefined, event: () => undefined, metric: () => undefined };
  const tables = parseEntities(['account', 'contact']);
  const MIRROR_FILE = join(folder, 'my.db');
  const sync = await LocalSync.open(settings, () => tables, localPaths(MIRROR_FILE), quiet);
  await sync.run({}, () => undefined);
  const { code, output } = await run('query-and-analytics', { MIRROR_FILE });
  expect(code, output).toBe(0);
  const lines = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const results = lines.slice(0, -1);
  expect(results).toHaveLength(6);
  for (let n = 0; n < 6; n += 2) {
    const [dataverse, mirror] = results.slice(n, n + 2);
    expect(dataverse!['requests']).toBeGreaterThan(0);
    expect(mirror).toMatchObject({ question: dataverse!['question'], from: 'mirror', requests: 0, bytes: 0 });
    if (n > 0) expect(mirror!['answer']).toEqual(dataverse!['answer']);
  }
  expect(lines.at(-1)).toMatchObject({ mirror: { requests: expect.any(Number), bytes: expect.any(Number) } });
});

test('file management: every start continues where the last one failed, and the trail has each action', async () => {
  const refused = { kind: 'error', status: 403, code: '0x80040220', message: 'No.' } as const;
  sample.faults.add({ ...refused, match: /POST .*RelationshipDefinitions/ });
  expect(await run('file-management')).toMatchObject({ code: 1, output: expect.stringContaining('No.') });
  sample.faults.add({ ...refused, match: /PATCH .*accounts/ });
  expect(await run('file-management')).toMatchObject({ code: 1, output: expect.stringContaining('No.') });
  expect(await run('file-management', { EXAMPLE_DIE_AT: '2' })).toMatchObject({ code: 137 });
  sample.faults.add({ ...refused, match: /GET .*new_contract/ });
  const failed = await run('file-management');
  expect(failed).toMatchObject({ code: 1, output: expect.stringContaining('No.') });
  expect(failed.output).toContain('resuming with 2 chunks done');
  const trail = async () =>
    [...sample.store.truth('new_fileaction').values()]
      .map((row) => `${row['new_action']} ${row['new_state']}`)
      .sort();
  expect(await trail()).toEqual(['download failed', 'upload done']);
  // As if the process had died before it deleted the job of the upload.
  const [uploaded] = [...sample.store.truth('new_fileaction')].filter(
    ([, row]) => row['new_state'] === 'done',
  );
  await writeFile(join(folder, 'contract.pdf.upload.json'), JSON.stringify({ auditId: uploaded![0] }));
  const { code, output } = await run('file-management');
  expect(code, output).toBe(0);
  const [source, copied] = await Promise.all(
    ['contract.pdf', 'copy.pdf'].map((name) => readFile(join(folder, name))),
  );
  expect(copied!.equals(source!)).toBe(true);
  expect(await trail()).toEqual(['download done', 'download failed', 'upload done']);
});

test('scheduled job: a run that was killed, and an expired token, repeat work and lose none', async () => {
  const onHold = async () => (await rowsOf('accounts?$filter=creditonhold eq true')).length;
  const tasks = async () => (await rowsOf("tasks?$filter=startswith(subject,'Review the credit of')")).length;
  const create = (count: number) => {
    for (let n = 0; n < count; n++) sample.store.create('account', { name: `New ${n}`, creditonhold: true });
  };
  const killed = await run('scheduled-job', { EXAMPLE_DIE_AT: '1' });
  expect(killed.code, killed.output).toBe(137);
  expect(await run('scheduled-job')).toMatchObject({ code: 0 });
  expect(await tasks()).toBe(await onHold());
  create(5);
  expect(await run('scheduled-job')).toMatchObject({ output: expect.stringContaining('5 tasks written') });
  create(3);
  sample.faults.add({ kind: 'expired-token', match: /deltatoken/ });
  expect(await run('scheduled-job')).toMatchObject({ output: expect.stringContaining('reading all rows') });
  expect(await tasks()).toBe(await onHold());
  create(2);
  const atOnce = await Promise.all([run('scheduled-job'), run('scheduled-job'), run('scheduled-job')]);
  expect(atOnce.map(({ code, output }) => (code === 0 ? '' : output))).toEqual(['', '', '']);
  expect(await tasks()).toBe(await onHold());
  const left = (await readdir(folder)).filter((name) => name.startsWith('job.json'));
  expect(left).toEqual(['job.json']);
});

test('near-real-time: a change is in the mirror after a message', async () => {
  const azurite = await startAzurite();
  await writeFile(join(folder, 'entities.json'), '["account", "contact"]');
  const app = await deploy(
    root,
    {
      ...{ AzureWebJobsStorage: azurite.connectionString, SYNC_CHANGES_DELAY: '0' },
      ...{ DATAVERSE_URL: sample.url, DATAVERSE_ACCESS_TOKEN: 'test', SYNC_SCHEDULE: '0 0 0 1 1 *' },
      ...{ SYNC_ENTITIES_FILE: join(folder, 'entities.json'), SYNC_QUEUE_PREFIX: 'example' },
      ...{ SYNC_WORK_CONTAINER: 'example-work', SYNC_DATABASE_CONTAINER: 'example-data' },
    },
    folder,
  );
  try {
    const { statusUrl } = (await (await app.fetch('sync', { method: 'POST' })).json()) as {
      statusUrl: string;
    };
    const path = statusUrl.split('/api/')[1]!;
    await expect
      .poll(async () => ((await (await app.fetch(path)).json()) as { phase: string }).phase)
      .toBe('complete');
    const env = { APP_URL: app.url, FUNCTION_KEY: app.functionKey };
    const { code, output } = await run('near-real-time', env);
    expect([code, output]).toEqual([0, expect.stringContaining('in the mirror: Seen in seconds')]);
    expect(output).toContain('run of account');
    const printed = await run('near-real-time', env, ['--print']);
    expect(printed.output).toContain('contract: 8');
    expect(printed.output).not.toContain(app.functionKey);
  } finally {
    app.stop();
    await azurite.stop();
  }
});

describe('near-real-time: the registration', () => {
  let server: Server;
  let url: string;
  /** What was written, by address: a row that is written twice is one row. */
  const rows = new Map<string, Record<string, unknown>>();
  let writes = 0;

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      response.setHeader('odata-version', '4.0');
      response.setHeader('x-ms-service-request-id', '00000000-0000-4000-8000-000000000002');
      let text = '';
      for await (const chunk of request) text += chunk;
      const path = decodeURIComponent(request.url!).split('/').at(-1)!;
      if (request.method === 'GET') {
        const one = '00000000-0000-4000-8000-000000000001';
        const filter = { sdkmessageid: one, sdkmessagefilterid: one, _sdkmessageid_value: one };
        const steps = [...rows.keys()].flatMap((address) => {
          const id = /^sdkmessageprocessingsteps\((.+)\)$/.exec(address)?.[1];
          return id === undefined ? [] : [{ sdkmessageprocessingstepid: id }];
        });
        const value = path.startsWith('sdkmessageprocessingsteps') ? steps : [filter];
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ value }));
        return;
      }
      writes += 1;
      if (request.method === 'DELETE') rows.delete(path);
      else rows.set(path, JSON.parse(text) as Record<string, unknown>);
      response.writeHead(204, { 'odata-entityid': `http://${request.headers.host}${request.url}` }).end();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  const env = () => ({ DATAVERSE_URL: url, APP_URL: 'https://app.example', FUNCTION_KEY: 'secret-key' });
  const addresses = (set: string) => [...rows.keys()].filter((address) => address.startsWith(`${set}(`));

  test('is an endpoint and a step for each table and message, also the second time', async () => {
    const first = await run('near-real-time', env(), ['--register']);
    expect([first.code, first.output]).toEqual([0, 'registered 6 steps\n']);
    const [endpoint] = addresses('serviceendpoints');
    expect(rows.get(endpoint!)).toEqual({
      ...{ name: 'SQLite mirror', url: 'https://app.example/api/changes', contract: 8 },
      ...{ authtype: 4, authvalue: 'secret-key' },
    });
    const steps = addresses('sdkmessageprocessingsteps');
    expect(steps).toHaveLength(6);
    expect(rows.get(steps[0]!)).toMatchObject({
      ...{ stage: 40, mode: 1, supporteddeployment: 0, asyncautodelete: true },
      'eventhandler_serviceendpoint@odata.bind': `/${endpoint}`,
      'sdkmessageid@odata.bind': expect.stringContaining('sdkmessages('),
      'sdkmessagefilterid@odata.bind': expect.stringContaining('sdkmessagefilters('),
    });
    const withLinks = await run('near-real-time', env(), ['--register', '--links']);
    expect(withLinks.output).toBe('registered 8 steps\n');
    expect([rows.size, writes]).toEqual([9, 7 + 9]);
    const links = [...rows.values()].filter(({ name }) => /ssociate$/.test(String(name)));
    expect(links).toHaveLength(2);
    for (const link of links) expect(Object.keys(link)).not.toContain('sdkmessagefilterid@odata.bind');
  });

  test('is removed with all its steps', async () => {
    const { code, output } = await run('near-real-time', env(), ['--remove']);
    expect([code, output]).toEqual([0, 'removed the webhook and 8 steps\n']);
    expect(rows.size).toBe(0);
  });

  test('refuses an address that Dataverse cannot reach', async () => {
    const local = { ...env(), APP_URL: 'http://localhost:17071' };
    const { code, output } = await run('near-real-time', local, ['--register']);
    expect([code, output]).toEqual([1, expect.stringContaining('Set APP_URL to the https address')]);
    expect(rows.size).toBe(0);
  });
});

describe('the pages of the examples', () => {
  const names = ['transactional-crud', 'batch-processing', 'query-and-analytics', 'file-management'].concat([
    'scheduled-job',
    'near-real-time',
  ]);

  test.each(names)('%s states all that a reader needs', (name) => {
    const page = `docs/examples/${name}/README.md`;
    for (const heading of [
      ...['Architecture', 'Data model', 'Expected throughput', 'Errors and recovery'],
      ...['What to monitor', 'How to test'],
    ]) {
      expect(section(page, heading).trim().length, heading).toBeGreaterThan(100);
    }
    expect(read(page)).toContain(`npm run example -- ${name}`);
    expect(read('docs/examples/README.md')).toContain(`](${name}/README.md)`);
    expect(basename(page)).toBe('README.md');
  });
});
