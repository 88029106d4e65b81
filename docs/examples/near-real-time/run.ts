import { setTimeout as wait } from 'node:timers/promises';
import { ConflictError, openMirror } from 'dataverse-sqlite-sync/mirror';
import { connect } from '../connect.ts';
import { register, registration, unregister } from './register.ts';

const { APP_URL: app, FUNCTION_KEY: functionKey } = process.env;
if (app === undefined || functionKey === undefined)
  throw new Error('Set APP_URL and FUNCTION_KEY, or use npm run example.');
const headers = { 'x-functions-key': functionKey, accept: 'application/json' };
const dataverse = connect();

const rows = registration({
  ...{ url: `${app}/api/changes`, functionKey, tables: ['account', 'contact'] },
  links: process.argv.includes('--links'),
});
if (process.argv.includes('--print')) {
  console.log({ ...rows.endpoint, authvalue: '(the function key)' }, rows.steps);
  process.exit();
}
if (process.argv.includes('--register') || process.argv.includes('--remove')) {
  // Dataverse sends to an address that it can reach: not to this machine, where npm run example starts the app.
  if (!app.startsWith('https://'))
    throw new Error(`Set APP_URL to the https address of the app, not ${app}.`);
  if (process.argv.includes('--remove')) {
    console.log(`removed the webhook and ${await unregister(dataverse, rows)} steps`);
  } else {
    await register(dataverse, rows);
    console.log(`registered ${rows.steps.length} steps`);
  }
  process.exit();
}

interface Run {
  trigger: string;
  phase: string;
  tables: string[];
  totals: { requests: number };
}

/** Plays the webhook: the sample Dataverse sends no messages. */
async function sendMessage(table: string, message: string, id: string): Promise<void> {
  const response = await fetch(`${app}/api/changes?code=${functionKey}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-ms-dynamics-entity-name': table,
      'x-ms-dynamics-request-name': message,
    },
    body: JSON.stringify({
      ...{ MessageName: message, PrimaryEntityName: table, PrimaryEntityId: id },
      ...{ OrganizationId: organizationId, Stage: 40, Mode: 1, Depth: 1, InputParameters: [] },
    }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  console.log(table, message, (await response.json()) as object);
}

const { organizationId } = await dataverse.whoAmI();
const accounts = dataverse.table('account');
const id = await accounts.create({ name: 'Seen in seconds' });
const began = performance.now();
await sendMessage('account', 'Create', id);

await using mirror = await openMirror(`${app}/api/database`, { functionKey });
const named = (account: string) =>
  mirror.query<{ name: string }>('SELECT name FROM accounts WHERE accountid = ?', [account]);
for (;;) {
  await mirror.refresh();
  const [row] = await named(id).catch((error: unknown) => {
    // A sync has replaced the state that was opened.
    if (error instanceof ConflictError) return [];
    throw error;
  });
  if (row !== undefined) {
    console.log('in the mirror:', row.name);
    break;
  }
  if (performance.now() - began > 120_000) throw new Error('The row did not come within two minutes.');
  await wait(250);
}
console.log(`after ${((performance.now() - began) / 1000).toFixed(1)} seconds`);
// The file is committed before the run has written its report.
const reported = performance.now();
for (;;) {
  const { runs } = (await (await fetch(`${app}/api/sync`, { headers })).json()) as { runs: Run[] };
  const run = runs.find(({ trigger, phase }) => trigger === 'changes' && phase === 'complete');
  if (run !== undefined) {
    console.log('run of', run.tables.join(), `${run.totals.requests} requests to Dataverse`);
    break;
  }
  if (performance.now() - reported > 60_000) throw new Error('The run did not end within a minute.');
  await wait(250);
}
