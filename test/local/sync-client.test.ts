import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/errors.ts';
import { SyncClient } from '../../src/local/sync-client.ts';

let server: Server;
let url: string;
let answer: { status: number; body?: unknown } | 'never';
const bodies: unknown[] = [];

beforeEach(async () => {
  bodies.length = 0;
  server = createServer(async (req, res) => {
    bodies.push(JSON.parse(await text(req)));
    if (answer !== 'never') res.writeHead(answer.status).end(JSON.stringify(answer.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe('SyncClient', () => {
  it('passes on the tables that may lose rows or are read again, and the explanation of a rejection', async () => {
    const client = new SyncClient(`${url}/api`, 'key', new AbortController().signal);
    answer = { status: 202, body: { runId: 'r', outcome: 'started' } };
    expect(await client.start({ allowMassDelete: ['contact'], reread: 'all' })).toEqual({
      runId: 'r',
      fresh: true,
    });
    expect(bodies).toEqual([{ resume: true, allowMassDelete: ['contact'], reread: 'all' }]);
    answer = {
      status: 400,
      body: { detail: 'contacts is not in entities.json.', hint: 'Use logical names.' },
    };
    const error = await client.start({ allowMassDelete: ['contacts'] }).catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ message: 'contacts is not in entities.json.', hint: 'Use logical names.' });
  });

  it('ends a request when it is stopped', async () => {
    const stop = new AbortController();
    answer = 'never';
    const started = new SyncClient(`${url}/api`, 'key', stop.signal).start();
    await expect.poll(() => bodies.length).toBe(1);
    stop.abort();
    await expect(started).rejects.toThrow('aborted');
  });
});
