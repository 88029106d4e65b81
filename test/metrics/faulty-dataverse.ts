import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * - `429`, `503`: rejects the request, writes nothing
 * - `lost`: writes, then breaks the connection
 * - `hang`: writes, never answers
 * - `late`: writes after a while, when the caller has given up
 * - those of `foreign`: writes nothing, and answers 200 with something else than Dataverse does
 * - `held`: writes when the test calls `release`, however late that is
 */
export type Fault = '429' | '503' | 'lost' | 'hang' | 'late' | 'held' | keyof typeof foreign;

const odata = { 'Content-Type': 'application/json; odata.metadata=minimal', 'OData-Version': '4.0' };

/** Answers with status 200 that say nothing about the request. */
export const foreign = {
  'web page': ['<html>Sign in</html>', { 'Content-Type': 'text/html', 'OData-Version': undefined }],
  empty: ['', { 'OData-Version': undefined }],
  'empty object': ['{}', odata],
  'other row': ['{"apex_campaignmetricsid":"00000000-0000-5000-8000-000000000000"}', odata],
  'no version header': ['{"value":[],"Ids":[]}', { 'OData-Version': undefined }],
} as const;

type Row = Record<string, unknown>;

const set = 'apex_campaignmetricses';
const idColumn = 'apex_campaignmetricsid';
const lateMs = 1_500;
const batchType = 'multipart/mixed; boundary=x';

/** A small and strict Dataverse with one table and with faults on demand. */
export class FaultyDataverse {
  readonly rows = new Map<string, Row>();
  /** The requests so far: `PATCH`, `CreateMultiple`, `UpsertMultiple`, `$batch`, `GET`. */
  requests: string[] = [];
  /** The fault of the next request. */
  fault: (kind: string) => Fault | undefined = () => undefined;
  /** Why a row is rejected; undefined if it is not. */
  refuses: (row: Row) => string | undefined = () => undefined;
  delayMs = 0;
  /** How long each row of a batch takes, as with a synchronous plug-in. */
  rowDelayMs = 0;
  /** Whether a write of many rows with this text never gets an answer; nothing of it is executed. */
  hangs: (body: string) => boolean = () => false;
  /** Requests that are executed later. */
  late = 0;
  /** Requests that arrived before the `Retry-After` of a 429 was over. */
  impatient = 0;
  retryAfterSeconds = 1;
  /** Executes the held requests. */
  release: () => void = () => undefined;
  /** What became of the held requests: their statuses. */
  released: number[] = [];
  /** Kinds of requests that this environment answers with 404, as a gateway can. */
  lacks: string[] = [];
  #held: Promise<void> = Promise.resolve();
  #notBefore = 0;
  #version = 1000;
  // The address of a read by ids has up to 32 KB.
  #server = createServer(
    { maxHeaderSize: 65_536 },
    (request, response) => void this.#serve(request, response),
  );

  url = '';

  /** Holds the requests of the given kinds from now on, until `release`. */
  hold(kinds: readonly string[]): void {
    this.released = [];
    this.#held = new Promise((resolve) => {
      this.release = resolve;
    });
    this.fault = (kind) => (kinds.includes(kind) ? 'held' : undefined);
  }

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
    const kind = /((?:Create|Upsert)Multiple|\$batch)$/.exec(url)?.[1] ?? request.method ?? '';
    this.requests.push(kind);
    if (performance.now() < this.#notBefore) this.impatient += 1;
    const fault = this.fault(kind);
    if (['$batch', 'CreateMultiple'].includes(kind) && this.hangs(body)) return;
    if (this.delayMs > 0) await sleep(this.delayMs);
    if (this.rowDelayMs > 0) await sleep(this.rowDelayMs * body.split('PATCH ').slice(1).length);
    if (fault === '429') {
      this.#notBefore = performance.now() + this.retryAfterSeconds * 1000;
      const headers = { 'Retry-After': String(this.retryAfterSeconds) };
      return send(response, 429, error('0x80072322', 'Number of requests'), headers);
    }
    if (fault === '503')
      return send(response, 503, '<html>Service Unavailable</html>', { 'Content-Type': 'text/html' });
    if (fault !== undefined && fault in foreign) {
      const [text, headers] = foreign[fault as keyof typeof foreign];
      return send(response, 200, text, headers);
    }
    if (fault === 'late') {
      this.late += 1;
      await sleep(lateMs);
      this.late -= 1;
    }
    if (fault === 'held') await this.#held;
    const [status, answer] = this.lacks.includes(kind)
      ? ([404, '<html>Not Found</html>'] as const)
      : kind === '$batch'
        ? this.#batch(body, request.headers['content-type'] ?? '')
        : this.#answer(kind, url, request.headers, body);
    if (fault === 'held') this.released.push(status);
    if (fault === 'lost') return void request.socket.destroy();
    if (fault === 'hang') return;
    const type = kind === '$batch' && status === 200 ? { 'Content-Type': batchType } : {};
    send(response, status, answer, type);
  }

  /** Executes the requests of a batch one after the other, as after `Prefer: odata.continue-on-error`. */
  #batch(body: string, contentType: string): [number, string] {
    const boundary = /boundary="(.+)"/.exec(contentType)![1]!;
    const parts = body.split(`--${boundary}`).slice(1, -1);
    const answers = parts.map((part) => {
      const [, line = '', head = '', content = ''] =
        /\r\n\r\n([^\r]+)\r\n(.*?)\r\n\r\n(.*)\r\n$/s.exec(part) ?? [];
      const [method = '', url = ''] = line.split(' ');
      const headers = head
        .split('\r\n')
        .map((field) => [field.split(': ')[0]!.toLowerCase(), field.split(': ')[1]!]);
      const [status, answer] = this.#answer(method, url, Object.fromEntries(headers), content);
      const isError = status >= 400;
      const text = `HTTP/1.1 ${isError ? status : 204} X\r\nOData-Version: 4.0\r\n\r\n`;
      return `--x\r\nContent-Type: application/http\r\n\r\n${text}${isError ? JSON.stringify(answer) : ''}\r\n`;
    });
    return [200, `${answers.join('')}--x--\r\n`];
  }

  #answer(kind: string, url: string, headers: IncomingHttpHeaders, body: string): [number, object?] {
    const id = new RegExp(`${set}\\(([0-9a-f-]{36})\\)`).exec(url)?.[1];
    if (kind === 'CreateMultiple') return this.#createMultiple(JSON.parse(body).Targets as Row[]);
    if (kind === 'UpsertMultiple') return this.#upsertMultiple(JSON.parse(body).Targets as Row[]);
    if (kind === 'PATCH') return this.#patch(id!, JSON.parse(body) as Row, headers);
    if (id !== undefined) {
      const row = this.rows.get(id);
      return row === undefined ? [404, error('0x80040217', 'Does Not Exist')] : [200, row];
    }
    const wanted = [...url.matchAll(/"([0-9a-f-]{36})"/g)].map((match) => match[1]!);
    return [200, { value: wanted.flatMap((each) => this.rows.get(each) ?? []) }];
  }

  #patch(id: string, values: Row, headers: IncomingHttpHeaders): [number, object?] {
    const known = this.rows.get(id);
    const ifMatch = headers['if-match'];
    if (known !== undefined && headers['if-none-match'] === '*') {
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

  /** Creates all rows or none. */
  #createMultiple(targets: Row[]): [number, object?] {
    const reason = targets.map((row) => this.refuses(row)).find((each) => each !== undefined);
    if (reason !== undefined) return [400, error('0x80044331', reason)];
    const ids = targets.map((row) => String(row[idColumn]));
    if (new Set(ids).size < ids.length || ids.some((id) => this.rows.has(id))) {
      return [412, error('0x80040237', 'A record with matching key values already exists.')];
    }
    for (const { '@odata.type': type, ...row } of targets) {
      if (type !== 'Microsoft.Dynamics.CRM.apex_campaignmetrics') return [400, error('0x0', 'type')];
      this.#store(row);
    }
    return [200, { Ids: ids }];
  }

  /** Creates or replaces all rows, without any condition. */
  #upsertMultiple(targets: Row[]): [number] {
    for (const { '@odata.type': _, ...row } of targets) this.#store(row);
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

/** @param headers undefined removes one */
function send(
  response: ServerResponse,
  status: number,
  body?: object | string,
  headers: Record<string, string | undefined> = {},
): void {
  for (const [name, value] of Object.entries({ ...odata, ...headers })) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.writeHead(status);
  response.end(typeof body === 'object' ? JSON.stringify(body) : body);
}
