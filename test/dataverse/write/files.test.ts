import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { clientFor, sendError, startServer } from '../http-server.ts';

const place = { entitySet: 'accounts', id: '00000000-0000-4000-8000-000000000001', column: 'new_file' };

test('uploads in chunks and downloads by range, with progress, despite lost responses', async () => {
  const original = randomBytes(10_500);
  const kept = Buffer.alloc(original.length);
  let faults = 2;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method === 'PATCH' && request.headers['x-ms-transfer-mode'] === 'chunked') {
      response
        .writeHead(200, { location: `${request.url}&sessiontoken=abc`, 'x-ms-chunk-size': '4000' })
        .end();
    } else if (request.method === 'PATCH') {
      const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+)$/
        .exec(request.headers['content-range']!)!
        .map(Number);
      Buffer.concat(chunks).copy(kept, start);
      if (faults-- > 0) response.socket!.destroy();
      else response.writeHead(end! + 1 === total ? 204 : 206).end();
    } else {
      const [, start = 0, end = 0] = /^bytes=(\d+)-(\d+)$/.exec(request.headers['range']!)!.map(Number);
      const slice = kept.subarray(start, end + 1);
      response
        .writeHead(206, { 'content-range': `bytes ${start}-${start + slice.length - 1}/${kept.length}` })
        .end(slice);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const client = clientFor({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    const progress: number[] = [];
    await client.uploadFile(place, 'Zoë.pdf', original, { onProgress: (done) => progress.push(done) });
    expect(progress).toEqual([4000, 8000, 10_500]);
    expect(kept.equals(original)).toBe(true);
    expect(client.stats.retries).toBe(2);
    const parts: Buffer[] = [];
    for await (const part of client.downloadFile(place, { chunkBytes: 3000 })) parts.push(part);
    expect(parts).toHaveLength(4);
    expect(Buffer.concat(parts).equals(original)).toBe(true);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('does not send chunks to another origin', async () => {
  await using other = await startServer((_, response) => response.writeHead(204).end());
  await using server = await startServer((_, response) =>
    response.writeHead(200, { location: `${other.url}/steal` }).end(),
  );
  await expect(clientFor(server).uploadFile(place, 'a', Buffer.from('x'))).rejects.toMatchObject({
    name: 'LinkError',
  });
  expect(other.requests).toHaveLength(0);
});

test('uploads an empty file with one request', async () => {
  await using server = await startServer((_, response) => response.writeHead(204).end());
  await clientFor(server).uploadFile(place, 'empty.txt', new Uint8Array());
  expect(server.requests).toMatchObject([
    { method: 'PATCH', body: '', headers: { 'x-ms-file-name': 'empty.txt', 'content-length': '0' } },
  ]);
});

test('deletes a file, and accepts an empty column but not a missing row', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 1) response.writeHead(204).end();
    else if (number === 2) sendError(response, 404, '', 'No file attachment found for attribute: new_file');
    else sendError(response, 404, '0x80040217', 'account Does Not Exist');
  });
  const client = clientFor(server);
  await client.deleteFile(place);
  await client.deleteFile(place);
  await expect(client.deleteFile(place)).rejects.toMatchObject({ fault: { status: 404 } });
  const request = { method: 'DELETE', url: `/api/data/v9.2/accounts(${place.id})/new_file` };
  expect(server.requests).toMatchObject([request, request, request]);
});

test('downloads nothing from an empty column', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 404, '', 'No file attachment found for attribute: new_file'),
  );
  const parts = [];
  for await (const part of clientFor(server).downloadFile(place)) parts.push(part);
  expect(parts).toEqual([]);
});
