import type { Instrumenter, InstrumenterSpanOptions, TracingContext, TracingSpan } from '@azure/core-tracing';
import { instrumentSdk } from '../telemetry/sdk-instrumenter.ts';
import { startSpan } from '../telemetry/tracing.ts';

/** Statuses with which storage answers ordinary questions: does it exist, was it changed, who was first. */
const expected = new Set([304, 404, 409, 412, 416]);

/**
 * Makes a span of each request to Azure Storage, one per attempt. The name has the operation and the object, without
 * account and ids, so that there are few of them. The library's own spans of calls are left out: they name neither.
 */
export function traceStorageRequests(): void {
  instrumentSdk(instrumenter);
}

const instrumenter: Instrumenter = {
  startSpan(_name, options) {
    return { span: spanOrNone(options), tracingContext: contextOf(options.tracingContext) };
  },
  withContext: (_context, callback, ...args) => callback(...args),
  parseTraceparentHeader: () => undefined,
  // Storage passes no trace on.
  createRequestHeaders: () => ({}),
};

/** What goes wrong here must not fail the request: it is sent without a span. */
function spanOrNone(options: InstrumenterSpanOptions): TracingSpan {
  try {
    return requestSpan(options) ?? notRecording;
  } catch {
    return notRecording;
  }
}

function requestSpan({ spanAttributes = {} }: InstrumenterSpanOptions): TracingSpan | undefined {
  const { 'http.url': url, 'http.method': method } = spanAttributes;
  if (typeof url !== 'string' || typeof method !== 'string') return undefined;
  const name = storageSpanName(method, url);
  if (name === undefined) return undefined;
  const attributes = { 'http.request.method': method, 'server.address': new URL(url).hostname };
  const started = startSpan(name, { kind: 'client', attributes });
  if (started === undefined) return undefined;
  const { open, end } = started;
  return {
    isRecording: () => true,
    setAttribute(name, value) {
      if (name === 'http.status_code') {
        open.attributes['http.response.status_code'] = Number(value);
        if (expected.has(Number(value))) open.isError = false;
      } else if (name === 'serviceRequestId') open.attributes['azure.request_id'] = String(value);
    },
    setStatus({ status }) {
      const code = Number(open.attributes['http.response.status_code']);
      open.isError = status === 'error' && !expected.has(code);
    },
    recordException: () => undefined,
    end,
  };
}

const notRecording: TracingSpan = {
  isRecording: () => false,
  setAttribute: () => undefined,
  setStatus: () => undefined,
  recordException: () => undefined,
  end: () => undefined,
};

/** The library keeps values of its own in it. The parent of a span is the current scope's. */
function contextOf(parent: TracingContext | undefined): TracingContext {
  return parent ?? valuesOf(new Map());
}

function valuesOf(values: ReadonlyMap<symbol, unknown>): TracingContext {
  return {
    getValue: (key) => values.get(key),
    setValue: (key, value) => valuesOf(new Map([...values, [key, value]])),
    deleteValue: (key) => valuesOf(new Map([...values].filter(([name]) => name !== key))),
  };
}

/** What a request does, by the parameter `comp` of its address (learn.microsoft.com: Blob service REST API). */
const operations: Record<string, string> = {
  'PUT block': 'put block of',
  'PUT blocklist': 'commit blocks of',
  'GET blocklist': 'list blocks of',
  'PUT appendblock': 'append to',
  'PUT seal': 'seal',
  'PUT snapshot': 'take a snapshot of',
  'PUT lease': 'lease',
  'PUT metadata': 'set metadata of',
  'GET metadata': 'get metadata of',
  'GET list': 'list',
  'POST batch': 'send a batch to',
  'POST messages': 'send',
  'GET messages': 'receive',
  'PUT messages': 'update',
  'DELETE messages': 'delete from',
};
const byMethod: Record<string, string> = { PUT: 'put', GET: 'get', HEAD: 'look up', DELETE: 'delete' };

/**
 * @returns undefined for a request to another service
 * @example
 * storageSpanName('PUT', 'https://a.blob.core.windows.net/dataverse/dataverse.db?comp=blocklist'); // Blob commit blocks of dataverse.db
 * storageSpanName('PUT', 'https://a.blob.core.windows.net/sync-work/runs/20261121T01/run.json'); // Blob put runs/{id}/run.json
 * storageSpanName('POST', 'https://a.queue.core.windows.net/sync-fetch/messages'); // Queue send sync-fetch
 */
export function storageSpanName(method: string, url: string): string | undefined {
  const { hostname, pathname, searchParams } = new URL(url);
  const parts = pathname.split('/').filter((part) => part !== '');
  const isEmulator = /^(?:localhost|[\d.]+|\[.*\])$/.test(hostname);
  // Emulators have the account in the path.
  const account = isEmulator ? parts.shift() : hostname;
  if (account === undefined || !(isEmulator || /\.(?:blob|queue)\./.test(hostname))) return undefined;
  const [container = '', ...path] = parts.map(decodeURIComponent);
  const isQueue = hostname.includes('.queue.') || (isEmulator && isEmulatedQueue(path, searchParams));
  const comp = isQueue && path[0] === 'messages' ? 'messages' : searchParams.get('comp');
  const operation = operations[`${method} ${comp}`] ?? byMethod[method] ?? method.toLowerCase();
  const prefix = searchParams.get('prefix')?.split('/') ?? [];
  const object = isQueue || path.length === 0 ? [container, ...prefix] : path;
  const text = object
    .filter((part) => part !== '')
    .map(withoutIds)
    .join('/');
  return `${isQueue ? 'Queue' : 'Blob'} ${operation} ${text}`.trim();
}

/** Addresses of the emulator do not name the service. Blobs have the parameter `restype` where queues have none. */
function isEmulatedQueue(path: readonly string[], query: URLSearchParams): boolean {
  return path[0] === 'messages' || (path.length === 0 && query.get('restype') === null);
}

/** Only an id has a digit. A file named by one keeps its ending. */
function withoutIds(text: string): string {
  if (/^[a-z][\w.-]{0,63}$/i.test(text) && !/\d/.test(text)) return text;
  return `{id}${/\.[a-z]{1,8}$/i.exec(text)?.[0] ?? ''}`;
}
