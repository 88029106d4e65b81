import { spawn } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { isLong } from '../../long.ts';
import { clientFor } from '../http-server.ts';

/** A gigabyte in the long form, and otherwise more than twice what may be in memory. */
const pageCount = isLong ? 55 : 17;

// The server runs in another process, so that only the client's memory is measured.
const serverCode = `
const { createServer } = require('node:http');
const { gzipSync } = require('node:zlib');
const row = JSON.stringify({ id: 'x'.repeat(36), text: 'y'.repeat(3900) });
const rows = Array.from({ length: 5200 }, () => row).join(',');
const page = (number) => gzipSync('{"value":[' + rows + ']' + (number === ${pageCount - 1} ? '' : ',"@odata.nextLink":"/api/data/v9.2/accounts?$skiptoken=' + (number + 1) + '"') + '}', { level: 1 });
const bodies = Array.from({ length: ${pageCount} }, (_, number) => page(number));
const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip', 'odata-version': '4.0' });
  response.end(bodies[Number(/skiptoken=(\\d+)/.exec(request.url)?.[1] ?? 0)]);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

test(`reads ${pageCount} pages of 20 MB in constant memory`, async () => {
  const server = spawn(process.execPath, ['-e', serverCode], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise<string>((resolve) =>
      server.stdout.once('data', (data) => resolve(String(data).trim())),
    );
    const client = clientFor({ url: `http://127.0.0.1:${port}` });
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')();
    const before = process.memoryUsage().rss;
    let peak = before;
    for await (const page of client.readPages({ entitySet: 'accounts' })) {
      expect(page.recordsEnd - page.recordsStart).toBeGreaterThan(20e6);
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    expect(client.stats.bytesReceived).toBeGreaterThan(pageCount * 20e6);
    expect((peak - before) / 1e6).toBeLessThan(150);
  } finally {
    server.kill();
  }
});
