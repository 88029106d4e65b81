import { expect, test } from 'vitest';
import { requestSpanName } from '../../src/dataverse/transport/request-span.ts';
import { storageSpanName } from '../../src/storage/request-spans.ts';
import { sampledShare } from '../../src/telemetry/sampling.ts';
import {
  formatTraceparent,
  newSpanId,
  newTraceId,
  parseTraceparent,
} from '../../src/telemetry/traceparent.ts';
import { inRun, inSpan, newRunTrace } from '../../src/telemetry/tracing.ts';

test('a traceparent is read as it is written', () => {
  const ids = { traceId: newTraceId(), spanId: newSpanId() };
  expect(parseTraceparent(formatTraceparent(ids))).toEqual(ids);
});

test.each([
  undefined,
  1,
  '',
  'x',
  `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`,
  `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01`,
  `00-${'A'.repeat(32)}-${'1'.repeat(16)}-01`,
  `00-${'1'.repeat(32)}-${'1'.repeat(16)}-01 --`,
])('%j is no traceparent', (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

test.each([
  [
    'PUT',
    'https://a.blob.core.windows.net/dataverse/dataverse.db?comp=block&blockid=x',
    'Blob put block of dataverse.db',
  ],
  ['PUT', 'https://a.blob.core.windows.net/work/runs/20261121T01-1a/run.json', 'Blob put runs/{id}/run.json'],
  [
    'GET',
    'https://a.blob.core.windows.net/work?restype=container&comp=list&prefix=runs%2F2026-1%2F',
    'Blob list work/runs/{id}',
  ],
  [
    'GET',
    'https://a.blob.core.windows.net/work?restype=container&comp=list&prefix=100%25%2Fmetrics%2F',
    'Blob list work/{id}/metrics',
  ],
  ['GET', 'https://a.blob.core.windows.net/work/100%25/metrics', 'Blob get {id}/metrics'],
  ['DELETE', 'http://127.0.0.1:1/devstoreaccount1/work/active.json', 'Blob delete active.json'],
  [
    'POST',
    'https://a.queue.core.windows.net/sync-fetch/messages?visibilitytimeout=3',
    'Queue send sync-fetch',
  ],
  ['POST', 'http://127.0.0.1:1/devstoreaccount1/sync-fetch/messages', 'Queue send sync-fetch'],
  ['PUT', 'http://127.0.0.1:1/devstoreaccount1/sync-fetch?comp=metadata', 'Queue set metadata of sync-fetch'],
  ['GET', 'https://login.microsoftonline.com/tenant/token', undefined],
])('%s %s is the span %s', (method, url, name) => {
  expect(storageSpanName(method, url)).toBe(name);
});

test.each([
  [{ operation: 'read page 3 of accounts', entitySet: 'accounts' }, 'Dataverse GET accounts page'],
  [
    { operation: 'read page 1 of accounts', entitySet: 'accounts', subject: 'delta page' },
    'Dataverse GET accounts delta page',
  ],
  [{ operation: 'read the metadata document' }, 'Dataverse GET metadata document'],
  [
    { operation: 'UpsertMultiple of 20 rows of tasks', entitySet: 'tasks', method: 'POST' as const },
    'Dataverse POST tasks rows',
  ],
  [{ operation: 'count accounts', entitySet: 'accounts' }, 'Dataverse GET accounts count'],
])('%j is the span %s', (call, name) => {
  expect(requestSpanName({ ...call, url: 'x?$filter=secret' })).toBe(name);
});

test.each([
  [{}, 1],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }, 0.25],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, 0],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'half' }, 1],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '' }, 1],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: ' ' }, 1],
  [{ OTEL_TRACES_SAMPLER: 'always_on', OTEL_TRACES_SAMPLER_ARG: '0.1' }, 1],
])('the share of traces with %j is %d', (env, share) => {
  expect(sampledShare(env)).toBe(share);
});

test('without a monitor there are no traces, and the work is done', async () => {
  expect(newRunTrace()).toBeUndefined();
  const run = { runId: 'r', traceparent: formatTraceparent({ traceId: newTraceId(), spanId: newSpanId() }) };
  const result = await inRun(run, 'planRun', {}, () => inSpan('Blob get x', {}, async () => 3));
  expect(result).toBe(3);
});
