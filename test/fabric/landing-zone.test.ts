import { randomBytes } from 'node:crypto';
import { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ConfigurationError, ConflictError } from '../../src/errors.ts';
import { LandingZone } from '../../src/storage/fabric/landing-zone.ts';
import { type Azurite, startAzurite } from '../azurite.ts';

let azurite: Azurite;
let blobs: BlobServiceClient;
beforeAll(async () => {
  azurite = await startAzurite();
  blobs = BlobServiceClient.fromConnectionString(azurite.connectionString);
});
afterAll(() => azurite.stop());

const container = () => blobs.getContainerClient(`lake-${randomBytes(4).toString('hex')}`);

async function names(zone: ReturnType<typeof container>): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of zone.listBlobsFlat()) found.push(name);
  return found;
}

it('makes the container of a storage account, and writes no file over', async () => {
  const zone = container();
  const lake = new LandingZone(zone, '');
  expect(await lake.look('accounts')).toEqual({ lastNumber: 0, isDescribed: false });
  await lake.introduce();
  await lake.introduce();
  await lake.describe('accounts', 'accountid');
  await lake.writeFile('accounts', 1, Buffer.from('first'));
  await expect(lake.writeFile('accounts', 1, Buffer.from('second'))).rejects.toThrow(ConflictError);
  const first = zone.getBlobClient('accounts/00000000000000000001.parquet');
  expect((await first.downloadToBuffer()).toString()).toBe('first');
  expect(await lake.look('accounts')).toEqual({ lastNumber: 1, isDescribed: true });
});

it('counts files that were put aside, and nothing else', async () => {
  const zone = container();
  const lake = new LandingZone(zone, 'item/Files/LandingZone');
  await lake.describe('accounts', 'accountid');
  const others = [
    ...['_ProcessedFiles/00000000000000000007.parquet', '_00000000000000000009.parquet', '9.parquet'],
    '00000000000000000008.csv',
  ];
  for (const name of others) {
    const blob = zone.getBlockBlobClient(`item/Files/LandingZone/accounts/${name}`);
    await blob.upload('x', 1);
  }
  expect((await lake.look('accounts')).lastNumber).toBe(7);
});

it('deletes the folder of a table, and no other whose name begins so', async () => {
  const zone = container();
  const lake = new LandingZone(zone, 'a');
  for (const folder of ['accounts', 'accounts2']) {
    await lake.describe(folder, 'accountid');
    await lake.writeFile(folder, 1, Buffer.from('x'));
  }
  await zone.getBlockBlobClient('a/accounts/_ProcessedFiles/00000000000000000001.parquet').upload('x', 1);
  await lake.clear('accounts');
  await lake.clear('accounts');
  expect(await names(zone)).toEqual([
    'a/accounts2/00000000000000000001.parquet',
    'a/accounts2/_metadata.json',
  ]);
});

it('says what to do where the app has no rights', async () => {
  const key = randomBytes(64).toString('base64');
  const wrong = azurite.connectionString.replace(/AccountKey=[^;]+/, `AccountKey=${key}`);
  const lake = new LandingZone(
    BlobServiceClient.fromConnectionString(wrong, { retryOptions: { maxTries: 1 } }).getContainerClient(
      'lake',
    ),
    '',
  );
  const error = await lake.look('accounts').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as ConfigurationError).hint).toContain('Contributor in the Fabric workspace');
  await expect(lake.writeFile('accounts', 1, Buffer.from('x'))).rejects.toThrow(ConfigurationError);
});

it('has an address without the signature of its account', () => {
  const zone = new ContainerClient('https://account.blob.core.windows.net/lake?sv=2025-01-05&sig=secret');
  expect(new LandingZone(zone, 'a/b').address).toBe('https://account.blob.core.windows.net/lake/a/b');
  expect(new LandingZone(zone, '').address).toBe('https://account.blob.core.windows.net/lake');
});
