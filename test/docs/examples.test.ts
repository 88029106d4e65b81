import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings } from '../../src/config/settings.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { startAzurite } from '../azurite.ts';
import { deploy } from '../package/deployed-app.ts';
import { read, root, section } from './pages.ts';

const examples = join(root, 'docs/examples');
let sample: SampleDataverse;
/** A copy of the examples whose imports are the sources of the packages. */
let copy: string;
let folder: string;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 2_000 });
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
    env: { DATAVERSE_URL: sample.url, DATAVERSE_ACCESS_TOKEN: 'test', EXAMPLE_FOLDER: folder, ...env },
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

test('transactional CRUD: all or nothing, also when the response is lost', async () => {
  const ACCOUNT_ID = '11111111-0000-4000-8000-0000000000aa';
  sample.faults.add({ kind: 'commit-then-reset', match: /POST .*\$batch/ });
  const { code, output } = await run('transactional-crud', { ACCOUNT_ID });
  expect([code, output]).toEqual([0, expect.stringContaining('The response was lost.')]);
  const [account] = await rowsOf(`accounts?$filter=accountid eq ${ACCOUNT_ID}`);
  expect(account).toMatchObject({ name: 'Fabrikam', creditlimit: 1300.5 });
  const contacts = await rowsOf(`contacts?$filter=_parentcustomerid_value eq ${ACCOUNT_ID}`);
  expect(contacts.map((row) => row['contactid'])).toEqual([account!['_primarycontactid_value']]);
  expect(output).toContain('rolled back true\nexists false');
  expect([...sample.store.truth('account').values()].map((row) => row['name'])).not.toContain('Never there');
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

test('file management: a resumed upload is one action of the trail, and a failed download one as well', async () => {
  expect(await run('file-management', { EXAMPLE_DIE_AT: '2' })).toMatchObject({ code: 137 });
  const { code, output } = await run('file-management');
  expect(code, output).toBe(0);
  expect(output).toContain('resuming with 2 chunks done');
  const [source, copied] = await Promise.all(
    ['contract.pdf', 'copy.pdf'].map((name) => readFile(join(folder, name))),
  );
  expect(copied!.equals(source!)).toBe(true);
  const trail = async () =>
    [...sample.store.truth('new_fileaction').values()].map(
      (row) => `${row['new_action']} ${row['new_state']}`,
    );
  expect((await trail()).sort()).toEqual(['download done', 'upload done']);
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
});

test('near-real-time: a change is in the mirror after a message', async () => {
  const azurite = await startAzurite();
  await writeFile(join(folder, 'entities.json'), '["account", "contact"]');
  const app = await deploy(
    root,
    {
      ...{ AzureWebJobsStorage: azurite.connectionString, SYNC_CHANGES_DELAY: '1' },
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
      .poll(async () => ((await (await app.fetch(path)).json()) as { phase: string }).phase, {
        timeout: 60_000,
      })
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

test('near-real-time: the registration is an endpoint and a step for each table and message', async () => {
  const sent: [path: string, body: Record<string, unknown>][] = [];
  const server = createServer(async (request, response) => {
    response.setHeader('odata-version', '4.0');
    response.setHeader('x-ms-service-request-id', '00000000-0000-4000-8000-000000000002');
    let text = '';
    for await (const chunk of request) text += chunk;
    const id = `${request.headers.host}/api/data/v9.2/x(00000000-0000-4000-8000-0000000000${sent.length + 10})`;
    if (request.method === 'GET') {
      const one = '00000000-0000-4000-8000-000000000001';
      const row = { sdkmessagefilterid: one, _sdkmessageid_value: one };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ value: [row] }));
      return;
    }
    sent.push([request.url!.split('/').at(-1)!, JSON.parse(text)]);
    response.writeHead(204, { 'odata-entityid': `http://${id}` }).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const DATAVERSE_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { DATAVERSE_URL, APP_URL: 'https://app.example', FUNCTION_KEY: 'secret-key' };
  const { code, output } = await run('near-real-time', env, ['--register']);
  server.close();
  expect([code, output]).toEqual([0, 'registered 6 steps\n']);
  expect(sent[0]).toEqual([
    'serviceendpoints',
    {
      ...{ name: 'SQLite mirror', url: 'https://app.example/api/changes', contract: 8 },
      ...{ authtype: 4, authvalue: 'secret-key' },
    },
  ]);
  expect(sent.slice(1).map(([path]) => path)).toEqual(new Array(6).fill('sdkmessageprocessingsteps'));
  expect(sent[1]![1]).toMatchObject({
    ...{ stage: 40, mode: 1, supporteddeployment: 0, asyncautodelete: true },
    'eventhandler_serviceendpoint@odata.bind': expect.stringContaining('serviceendpoints('),
    'sdkmessageid@odata.bind': expect.stringContaining('sdkmessages('),
    'sdkmessagefilterid@odata.bind': expect.stringContaining('sdkmessagefilters('),
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
