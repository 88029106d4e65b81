import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  emulatorConnectionString,
  type StorageEmulator,
  startStorageEmulator,
} from '../../src/local/emulators/storage-emulator.ts';
import { isForeign } from '../../src/local/foreign-requests.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

let folder: string;
let emulator: StorageEmulator;
let dataverse: SampleDataverse;
const accountKey = Buffer.alloc(64, 7).toString('base64');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-'));
  emulator = await startStorageEmulator({ folder, accountKey });
  dataverse = await startSampleDataverse({
    rows: 10,
    tables: ['account'],
    token: 'token',
    rejects: isForeign,
  });
});
afterAll(async () => {
  await Promise.all([emulator.stop(), dataverse.stop()]);
  await rm(folder, { recursive: true, force: true });
});

function send(port: number, path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode!));
    })
      .once('error', reject)
      .end();
  });
}

/** A signature for the whole account, as a page could carry it that knows the key. */
function signed(key: string): string {
  const account = 'devstoreaccount1';
  const parts = {
    sv: '2021-08-06',
    ss: 'bq',
    srt: 'sco',
    sp: 'rwdlacup',
    se: '2090-01-01T00:00:00Z',
    spr: 'https,http',
  };
  const text = [account, parts.sp, parts.ss, parts.srt, '', parts.se, '', parts.spr, parts.sv, '', ''].join(
    '\n',
  );
  const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
  return new URLSearchParams({ ...parts, sig }).toString();
}

describe('the storage emulator', () => {
  it('accepts its own key, and not the one that everybody knows', async () => {
    const own = BlobServiceClient.fromConnectionString(emulator.connectionString);
    await own.getContainerClient('rows').create();
    const path = `/devstoreaccount1?comp=list&`;
    const host = { host: `127.0.0.1:${emulator.blobPort}` };
    expect(await send(emulator.blobPort, path + signed(accountKey), host)).toBe(200);
    const publicKey = /AccountKey=([^;]+)/.exec(emulatorConnectionString(emulator))![1]!;
    expect(publicKey).not.toBe(accountKey);
    expect(await send(emulator.blobPort, path + signed(publicKey), host)).toBe(403);
    expect(
      await send(emulator.queuePort, path + signed(publicKey), { host: `127.0.0.1:${emulator.queuePort}` }),
    ).toBe(403);
  });
});

describe.each(['blobs', 'queues', 'Dataverse'])('the server of %s on this machine', (kind) => {
  const target = (): { port: number; path: string; headers: Record<string, string> } => {
    if (kind === 'Dataverse') {
      const { port } = new URL(dataverse.url);
      return {
        port: Number(port),
        path: '/api/data/v9.2/accounts',
        headers: { authorization: 'Bearer token' },
      };
    }
    const port = kind === 'blobs' ? emulator.blobPort : emulator.queuePort;
    return { port, path: `/devstoreaccount1?comp=list&${signed(accountKey)}`, headers: {} };
  };

  it('answers to its own names only', async () => {
    const { port, path, headers } = target();
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      '127.0.0.1',
      'localhost:8080',
    ]) {
      expect(await send(port, path, { ...headers, host }), host).toBe(200);
    }
    for (const host of [
      `devstoreaccount1.evil.example:${port}`,
      `127.0.0.1.evil.example:${port}`,
      `localhost@evil.example:${port}`,
      'evil.example',
    ]) {
      expect(await send(port, path, { ...headers, host }), host).toBe(403);
    }
  });

  it('rejects requests of pages of other sites', async () => {
    const { port, path, headers } = target();
    const host = `127.0.0.1:${port}`;
    for (const origin of ['https://evil.example', 'null', `http://127.0.0.1:${port + 1}`]) {
      expect(await send(port, path, { ...headers, host, origin }), origin).toBe(403);
      expect(await send(port, path, { ...headers, host, origin }, 'POST'), origin).toBe(403);
    }
  });
});

it.each(['127.0.0.1:99999', '127.0.0.1:x', 'localhost:70000', '[::1]:65536'])(
  'takes %s for no address',
  (host) => {
    expect(isForeign({ headers: { host } } as IncomingMessage)).toBe(true);
  },
);
