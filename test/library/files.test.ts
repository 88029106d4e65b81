import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Dataverse, type FileColumn, UsageError } from '../../src/library/dataverse.ts';
import type { UploadState } from '../../src/library/files/file-column.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
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
