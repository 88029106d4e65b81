import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Dataverse, type FileColumn, UsageError } from '../../src/library/dataverse.ts';
import type { UploadState } from '../../src/library/files/file-column.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { sendError, sendJson, startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;
let id: string;
let contract: FileColumn;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 100 });
  dataverse = connect(sample);
  const accounts = dataverse.table('account');
  id = await accounts.create({ name: 'With files' });
  contract = accounts.file(id, 'new_contract');
});

afterEach(() => sample.faults.clear());
afterAll(() => sample.stop());

const bytes = randomBytes(100_000);
const stored = () => sample.files.file('account', id, 'new_contract');

test('uploads and downloads in chunks, with progress', async () => {
  const seen: [number, number][] = [];
  const onProgress = (done: number, total: number) => seen.push([done, total]);
  await contract.upload('Vertrag “Söhne”.pdf', bytes, { chunkBytes: 40_000, onProgress });
  expect(seen).toEqual([40_000, 80_000, 100_000].map((done) => [done, 100_000]));
  expect(stored()).toMatchObject({ name: 'Vertrag “Söhne”.pdf', data: bytes });
  expect(await contract.name()).toBe('Vertrag “Söhne”.pdf');
  expect(Buffer.from((await contract.bytes({ chunkBytes: 30_000 }))!).equals(bytes)).toBe(true);
});

test('goes on with a download', async () => {
  const rest = await contract.bytes({ from: 70_000, chunkBytes: 20_000 });
  expect(Buffer.from(rest!).equals(bytes.subarray(70_000))).toBe(true);
});

test('uploads with a MIME type, and goes on after a failure', async () => {
  let state: UploadState | undefined;
  const onState = (next: UploadState) => (state = next);
  const options = { mimeType: 'application/pdf', chunkBytes: 30_000, onState };
  sample.faults.add({
    kind: 'error',
    match: /UploadBlock/,
    after: 2,
    status: 400,
    code: '0x1',
    message: 'no',
  });
  await expect(contract.upload('new.pdf', bytes, options)).rejects.toMatchObject({ status: 400 });
  expect(state?.blocks).toHaveLength(2);
  // A program may store it.
  const resume = JSON.parse(JSON.stringify(state)) as UploadState;
  const before = dataverse.stats.requests;
  await contract.upload('new.pdf', bytes, { ...options, resume });
  // Two blocks and the commit.
  expect(dataverse.stats.requests - before).toBe(3);
  expect(stored()).toMatchObject({ name: 'new.pdf', mimeType: 'application/pdf', data: bytes });
  await expect(contract.upload('other.pdf', bytes, { resume })).rejects.toThrow(UsageError);
});

test('sends a block again whose response was lost', async () => {
  sample.faults.add({ kind: 'commit-then-reset', match: /UploadBlock/, times: 1 });
  await contract.upload('again.pdf', bytes, { mimeType: 'application/pdf' });
  expect(stored()).toMatchObject({ name: 'again.pdf', data: bytes });
});

test('deletes files, reads empty columns as undefined, and uploads images', async () => {
  await contract.delete();
  await contract.delete();
  expect(await contract.bytes()).toBeUndefined();
  expect(await contract.name()).toBeUndefined();
  const image = dataverse.table('account').file(id, 'entityimage');
  await image.upload('logo.png', bytes.subarray(0, 500));
  expect(Buffer.from((await image.bytes({ fullSize: true }))!).equals(bytes.subarray(0, 500))).toBe(true);
});

test('ends a download that goes on behind the last byte', async () => {
  await contract.upload('a.txt', bytes.subarray(0, 10));
  expect(await contract.bytes({ from: 10 })).toHaveLength(0);
});

test('reads an empty file, other than an empty column', async () => {
  for (const options of [{}, { mimeType: 'text/plain' }]) {
    await contract.upload('empty.txt', new Uint8Array(0), options);
    expect(await contract.bytes()).toHaveLength(0);
  }
});

test('notices a file of another name, and a shorter one', async () => {
  await using server = await startServer((request, response, number) => {
    const from = /bytes=(\d+)/.exec(request.headers.range!)![1];
    const headers = { 'content-type': 'application/octet-stream', 'x-ms-file-name': `file ${number}` };
    if (from === '4') return response.writeHead(416, { ...headers, 'content-range': 'bytes */3' }).end();
    response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${Number(from) + 1}/4` }).end('AA');
  });
  const names = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
  const file = connect(server)
    .table(names)
    .file(id, 'new_contract' as never);
  await expect(file.bytes({ chunkBytes: 2 })).rejects.toThrow('replaced in the meantime');
  await expect(file.bytes({ from: 4 })).rejects.toThrow('it has 3 bytes');
});

test('says that an upload may be complete whose last response was lost', async () => {
  let commits = 0;
  await using server = await startServer((request, response) => {
    if (request.url!.includes('Initialize')) return sendJson(response, { FileContinuationToken: 't' });
    if (request.url!.includes('UploadBlock')) return response.writeHead(204).end();
    commits += 1;
    if (commits === 1) return sendError(response, 503, '', '');
    return sendError(response, 400, '0x80044a01', 'The token is not valid.');
  });
  const names = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
  const file = connect(server)
    .table(names)
    .file(id, 'new_contract' as never);
  await expect(file.upload('a', bytes, { mimeType: 'text/plain' })).rejects.toMatchObject({
    name: 'TransientError',
    maybeExecuted: true,
  });
});
