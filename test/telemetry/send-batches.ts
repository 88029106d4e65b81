/**
 * Sends the batches of a file with the built app, in a process of its own: Node reads certificate authorities at its
 * start, and the library belongs to a process. Prints the answers, and what is left behind in the process.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { AzureLogger, getLogLevel } from '@azure/logger';
import type { Ingestion } from '../../src/telemetry/ingestion.ts';
import type { Batch } from '../../src/telemetry/outbox.ts';

const registries = ['opentelemetry.js.api.1', 'io.opentelemetry.js.api.logs'].map((name) => Symbol.for(name));
const registered = globalThis as unknown as Record<symbol, unknown>;
const ofAnAgent = registries.map((key) => {
  registered[key] = { version: '1.9.0', key };
  return registered[key];
});
const path = resolve(import.meta.dirname, '../../dist/telemetry/ingestion.js');
const { openIngestion } = (await import(path)) as {
  openIngestion(connectionString: string, credential: undefined): Ingestion;
};
const shared = () => ({
  env: { ...process.env },
  log: AzureLogger.log,
  level: getLogLevel(),
  console: console.log,
});
const before = shared();
const listeners = () => process.eventNames().map((name) => [String(name), process.listenerCount(name)]);
const listening = JSON.stringify(listeners());

const ingestion = openIngestion(process.env['APPLICATIONINSIGHTS_CONNECTION_STRING']!, undefined);
const answers: unknown[] = [];
for (const batch of JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Batch[]) {
  const { rest, fault } = await ingestion.send(batch);
  const counts = Object.entries(rest).map(([kind, items]) => [kind, items.length]);
  answers.push({ fault, rest: Object.fromEntries(counts) });
}
const after = shared();
const changed = (Object.keys(before) as (keyof typeof before)[]).filter((name) =>
  name === 'env' ? JSON.stringify(before.env) !== JSON.stringify(after.env) : before[name] !== after[name],
);
if (JSON.stringify(listeners()) !== listening) changed.push('console');
const isAgentThere = registries.every((key, index) => registered[key] === ofAnAgent[index]);
// The library must not hold the process either: nothing ends it here.
process.stdout.write(JSON.stringify({ answers, changed, isAgentThere }));
