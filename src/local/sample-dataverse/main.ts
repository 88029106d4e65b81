import { parseArgs } from 'node:util';
import type { SampleDataverseOptions } from './options.ts';
import { startSampleDataverse } from './server.ts';

/** Runs the sample Dataverse as a process of its own and prints where it listens, as one line of JSON. */
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    rows: { type: 'string' },
    metadata: { type: 'string' },
    tables: { type: 'string' },
    seed: { type: 'string' },
    token: { type: 'string' },
    tracked: { type: 'string' },
    'latency-ms': { type: 'string' },
    'row-bytes': { type: 'string' },
    prewarm: { type: 'boolean' },
    'prewarm-prefer': { type: 'string' },
  },
});

const options: SampleDataverseOptions = {};
if (values.port !== undefined) options.port = wholeNumber('port', values.port);
if (values.rows !== undefined) options.rows = wholeNumber('rows', values.rows);
if (values.seed !== undefined) options.seed = wholeNumber('seed', values.seed);
if (values['row-bytes'] !== undefined) options.rowBytes = wholeNumber('row-bytes', values['row-bytes']);
if (values['latency-ms'] !== undefined) options.latencyMs = wholeNumber('latency-ms', values['latency-ms']);
if (values.tracked !== undefined)
  options.tracked = values.tracked === 'all' ? 'all' : values.tracked.split(',');
if (values.metadata !== undefined) options.metadata = values.metadata;
if (values.tables !== undefined) options.tables = values.tables.split(',');
if (values.token !== undefined) options.token = values.token;
if (values.prewarm) options.prewarm = values['prewarm-prefer'] ?? true;

const dataverse = await startSampleDataverse(options);
console.log(JSON.stringify({ url: dataverse.url }));

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void dataverse.stop().then(() => process.exit(0));
  });
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${name} must be a whole number`);
  return number;
}
