import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * - `429`, `503`: rejects the request, writes nothing
 * - `lost`: writes, then breaks the connection
 * - `hang`: writes, never answers
 * - `late`: writes after a while, when the caller has given up
 */
export type Fault = '429' | '503' | 'lost' | 'hang' | 'late';

type Row = Record<string, unknown>;

const set = 'apex_campaignmetricses';
const idColumn = 'apex_campaignmetricsid';
const lateMs = 1_500;

/** A small and strict Dataverse with one table and with faults on demand. */
export class FaultyDataverse {
  readonly rows = new Map<string, Row>();
  /** The requests so far: `PATCH`, `UpsertMultiple`, `GET`. */
  requests: string[] = [];
  /** The fault of the next request. */
  fault: (kind: string) => Fault | undefined = () => undefined;
  /** Why a row is rejected; undefined if it is not. */
  refuses: (row: Row) => string | undefined = () => undefined;
  delayMs = 0;
  /** Requests that arrived before the `Retry-After` of a 429 was over. */
  impatient = 0;
  retryAfterSeconds = 1;
  #notBefore = 0;
  #version = 1000;
  #server = createServer((request, response) => void this.#serve(request, response));

  url = '';

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this.url;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const url = decodeURIComponent(request.url ?? '');
    const kind = url.includes('UpsertMultiple') ? 'UpsertMultiple' : (request.method ?? '');
    this.requests.push(kind);
    if (performance.now() < this.#notBefore) this.impatient += 1;
    const fault = this.fault(kind);
    if (this.delayMs > 0) await sleep(this.delayMs);
    if (fault === '429') {
      this.#notBefore = performance.now() + this.retryAfterSeconds * 1000;
      const headers = { 'Retry-After': String(this.retryAfterSeconds) };
      return send(response, 429, error('0x80072322', 'Number of requests'), headers);
    }
    if (fault === '503')
      return send(response, 503, '<html>Service Unavailable</html>', { 'Content-Type': 'text/html' });
    if (fault === 'late') await sleep(lateMs);
    const [status, answer] = this.#answer(kind, url, request, body);
    if (fault === 'lost') return void request.socket.destroy();
    if (fault === 'hang') return;
    send(response, status, answer);
  }

  #answer(kind: string, url: string, request: IncomingMessage, body: string): [number, object?] {
    const id = new RegExp(`${set}\\(([0-9a-f-]{36})\\)`).exec(url)?.[1];
    if (kind === 'UpsertMultiple') return this.#upsertMultiple(JSON.parse(body).Targets as Row[]);
    if (kind === 'PATCH') return this.#patch(id!, JSON.parse(body) as Row, request);
    if (id !== undefined) {
      const row = this.rows.get(id);
      return row === undefined ? [404, error('0x80040217', 'Does Not Exist')] : [200, row];
    }
    const wanted = [...url.matchAll(/"([0-9a-f-]{36})"/g)].map((match) => match[1]!);
    return [200, { value: wanted.flatMap((each) => this.rows.get(each) ?? []) }];
  }

  #patch(id: string, values: Row, request: IncomingMessage): [number, object?] {
    const known = this.rows.get(id);
    const ifMatch = request.headers['if-match'];
    if (known !== undefined && request.headers['if-none-match'] === '*') {
      return [412, error('0x80040237', 'A record with matching key values already exists.')];
    }
    if (ifMatch !== undefined && known === undefined) return [404, error('0x80040217', 'Does Not Exist')];
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== known!['@odata.etag']) {
      return [412, error('0x80060882', 'The version of the existing record doesn’t match.')];
    }
    const reason = this.refuses(values);
    if (reason !== undefined) return [400, error('0x80044331', reason)];
    return [known === undefined ? 201 : 200, this.#store({ ...known, ...values, [idColumn]: id })];
  }

  #upsertMultiple(targets: Row[]): [number, object?] {
    const reason = targets.map((row) => this.refuses(row)).find((each) => each !== undefined);
    if (reason !== undefined) return [400, error('0x80044331', reason)];
    if (new Set(targets.map((row) => row[idColumn])).size < targets.length) {
      return [400, error('0x80040237', 'The same row twice.')];
    }
    for (const { '@odata.type': type, ...row } of targets) {
      if (type !== 'Microsoft.Dynamics.CRM.apex_campaignmetrics') return [400, error('0x0', 'type')];
      this.#store(row);
    }
    return [204];
  }

  #store(row: Row): Row {
    this.#version += 1;
    const stored = { ...row, '@odata.etag': `W/"${this.#version}"` };
    this.rows.set(String(row[idColumn]), stored);
    return stored;
  }
}

const error = (code: string, message: string) => ({ error: { code, message } });

function send(response: ServerResponse, status: number, body?: object | string, headers = {}): void {
  const type = { 'Content-Type': 'application/json; odata.metadata=minimal', 'OData-Version': '4.0' };
  response.writeHead(status, { ...type, ...headers });
  response.end(typeof body === 'object' ? JSON.stringify(body) : body);
}
