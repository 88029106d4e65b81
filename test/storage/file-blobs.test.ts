import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStorageAccount } from '../../src/storage/account.ts';
import { FileBlobs } from '../../src/storage/file-blobs.ts';
import { type Azurite, startAzurite } from '../azurite.ts';

describe('FileBlobs', () => {
  let azurite: Azurite;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  it('replaces all of a content or nothing, and removes it', async () => {
    const container = openStorageAccount({
      connectionString: azurite.connectionString,
    }).blobs.getContainerClient('files');
    await container.createIfNotExists();
    const blobs = new FileBlobs(container);
    const parts = [randomBytes(5_000_000), randomBytes(1), randomBytes(4_500_000)];
    const read = () => container.getBlobClient('a/b/c').downloadToBuffer();

    expect(await blobs.write('a/b/c', each(parts))).toBe(9_500_001);
    expect((await read()).equals(Buffer.concat(parts))).toBe(true);

    await expect(blobs.write('a/b/c', breakOff(parts))).rejects.toThrow('broken off');
    expect((await read()).equals(Buffer.concat(parts))).toBe(true);

    expect(await blobs.write('a/b/c', each([Buffer.from('short')]))).toBe(5);
    expect((await read()).toString()).toBe('short');

    expect(await blobs.write('a/b/c', each([]))).toBe(0);
    expect((await read()).length).toBe(0);

    await blobs.remove('a/b/c');
    await blobs.remove('a/b/c');
    expect(await container.getBlobClient('a/b/c').exists()).toBe(false);
  });
});

async function* each(parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
}

async function* breakOff(parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
  throw new Error('broken off');
}
