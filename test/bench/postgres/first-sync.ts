/**
 * A first sync into PostgreSQL, with shards that are staged or not: four messages at a time, as one instance of the app takes
 * them. Run by bench.ts, in a process of its own.
 *
 *   node test/bench/postgres/first-sync.ts URL LOGICAL_NAME,… staged|loaded
 */
import { addressIn } from '../../postgres.ts';
import { startOwnPostgres } from '../../shared-postgres.ts';
import { Harness } from '../../sync/harness.ts';

const [url = '', names = '', way] = process.argv.slice(2);
const server = await startOwnPostgres();
const harness = await Harness.create({
  dataverseUrl: url,
  entities: names.split(','),
  settings: { SYNC_SLICE_MB: '16' },
  postgres: addressIn(server.folder),
});
harness.stages = () => way === 'staged';
harness.mergeDelay = 0;
const { mirror } = harness.services;
const transaction = mirror.transaction.bind(mirror);
let merging = 0;
mirror.transaction = async (...args) => {
  const began = performance.now();
  try {
    return await transaction(...args);
  } finally {
    merging += (performance.now() - began) / 1000;
  }
};
const began = performance.now();
const { runId } = await harness.start();
const deliver = async () => {
  while ((await harness.services.documents.run(runId))?.phase === undefined) {
    const error = await harness.deliver();
    if (error !== undefined) throw error;
    if (harness.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
await Promise.all([deliver(), deliver(), deliver(), deliver()]);
const seconds = (performance.now() - began) / 1000;
const { state } = await mirror.loadState();
const rows = Object.values(state.entities).reduce((sum, table) => sum + table.rows, 0);
console.log(JSON.stringify({ seconds, merging, rows }));
await server.stop();
process.exit();
