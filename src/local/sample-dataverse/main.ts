import { parseArgs } from 'node:util';
import type { SampleDataverseOptions } from './options.ts';
import { startSampleDataverse } from './server.ts';

/** Runs the sample Dataverse as a process of its own. Prints its address as one line of JSON. */
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

const { metadata, tables, token, tracked } = values;
const options: SampleDataverseOptions = {
  port: wholeNumber('port'),
  rows: wholeNumber('rows'),
  seed: wholeNumber('seed'),
  rowBytes: wholeNumber('row-bytes'),
  latencyMs: wholeNumber('latency-ms'),
  tracked: tracked === 'all' ? tracked : tracked?.split(','),
  metadata,
  tables: tables?.split(','),
  token,
  prewarm: values.prewarm && (values['prewarm-prefer'] ?? true),
};

const dataverse = await startSampleDataverse(options);
console.log(JSON.stringify({ url: dataverse.url }));

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void dataverse.stop().then(() => process.exit(0));
  });
}

function wholeNumber(name: 'port' | 'rows' | 'seed' | 'row-bytes' | 'latency-ms'): number | undefined {
  const text = values[name];
  const number = Number(text ?? 0);
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${name} must be a whole number`);
  return text === undefined ? undefined : number;
}
