import { createTracingClient } from '@azure/core-tracing';
import { BlobServiceClient } from '@azure/storage-blob';
import { beforeEach, expect, test, vi } from 'vitest';
import { traceStorageRequests } from '../../src/storage/request-spans.ts';
import { formatTraceparent, newSpanId, newTraceId } from '../../src/telemetry/traceparent.ts';
import { inRun, inSpan } from '../../src/telemetry/tracing.ts';
import { startAzurite } from '../azurite.ts';

const tracked: string[] = [];
const monitor = vi.hoisted(() => ({ isBroken: false }));
vi.mock('../../src/telemetry/monitor.ts', () => ({
  monitor: () => ({
    trackSpan({ name }: { name: string }) {
      tracked.push(name);
      if (monitor.isBroken) throw new TypeError('the monitor is broken');
    },
  }),
}));

beforeEach(() => {
  tracked.length = 0;
  monitor.isBroken = false;
});

const run = { runId: 'r', traceparent: formatTraceparent({ traceId: newTraceId(), spanId: newSpanId() }) };

test('a monitor that throws fails no request and no work', async () => {
  const azurite = await startAzurite();
  traceStorageRequests();
  const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
    'work',
  );
  await container.create();
  for (const isBroken of [false, true]) {
    Object.assign(monitor, { isBroken });
    tracked.length = 0;
    const names = await inRun(run, 'Start run', {}, async () => {
      const found: string[] = [];
      const prefix = '100%/metrics/';
      await container.getBlockBlobClient(`${prefix}x`).upload('1', 1);
      for await (const { name } of container.listBlobsFlat({ prefix })) found.push(name);
      return inSpan('Dataverse GET accounts page', {}, async () => found);
    });
    expect(names).toEqual(['100%/metrics/x']);
    expect(tracked).toEqual([
      'Blob put {id}/metrics/x',
      'Blob list work/{id}/metrics',
      'Dataverse GET accounts page',
      'Start run',
    ]);
  }
  await azurite.stop();
});

test('a request whose address cannot be read has no span', async () => {
  traceStorageRequests();
  const client = createTracingClient({ namespace: '', packageName: 'test' });
  const start = (url: string) =>
    client.startSpan('x', {}, { spanAttributes: { 'http.url': url, 'http.method': 'GET' } }).span;
  await inRun(run, 'Start run', {}, async () => {
    expect(start('https://a.blob.core.windows.net/c/x').isRecording()).toBe(true);
    for (const url of ['https://a.blob.core.windows.net/c/%E0%A4%A', 'no address'])
      expect(start(url).isRecording()).toBe(false);
  });
});
