import { stat } from 'node:fs/promises';
import { openMirror } from 'dataverse-sqlite-sync/mirror';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const file = process.env['MIRROR_FILE'] ?? 'my.db';
const dataverse = connect();
const accounts = dataverse.table('account');
const meter = new Meter();

interface Result {
  question: string;
  from: string;
  answer: unknown;
  requests: number;
  bytes: number;
  milliseconds: number;
}
const results: Result[] = [];

async function ask(question: string, from: string, work: () => Promise<unknown>): Promise<void> {
  meter.take();
  const answer = await work();
  const { requests, bytes, seconds } = meter.take();
  results.push({ question, from, answer, requests, bytes, milliseconds: Math.round(seconds * 1000) });
}

await using mirror = await openMirror(file);
const [id] = (await mirror.query<{ id: string }>('SELECT accountid AS id FROM accounts LIMIT 1')).map(
  (row) => row.id,
);

// One row, as it is at this moment: Dataverse.
await ask('one row by id', 'Dataverse', () => accounts.retrieve(id!, { select: ['name'] }));
await ask('one row by id', 'mirror', () =>
  mirror.query('SELECT name FROM accounts WHERE accountid = ?', [id!]),
);

// Sums over a table: Dataverse aggregates up to 50,000 rows, the mirror any number.
await ask('accounts and revenue by state', 'Dataverse', async () => {
  const rows = await accounts.aggregate({
    groupBy: ['statecode'],
    values: { rows: 'count', revenue: ['revenue', 'sum'] },
  });
  return rows
    .map((row) => ({
      statecode: row['statecode'],
      rows: Number(row['rows']),
      revenue: Math.round(Number(row['revenue'])),
    }))
    .sort((a, b) => Number(a.statecode) - Number(b.statecode));
});
await ask('accounts and revenue by state', 'mirror', () =>
  mirror.query(
    `SELECT statecode, count(*) AS rows, CAST(round(sum(revenue)) AS INTEGER) AS revenue
     FROM accounts GROUP BY statecode ORDER BY statecode`,
  ),
);

// A question over several tables and all of their rows: Dataverse has to send the rows, the mirror answers in place.
await ask('accounts whose contacts have two or more mail domains', 'Dataverse', async () => {
  const domains = new Map<string, Set<string>>();
  const query = dataverse
    .table('contact')
    .query()
    .select('emailaddress1', '_parentcustomerid_value')
    .where((f) => f.and(f.isNotNull('emailaddress1'), f.isNotNull('_parentcustomerid_value')));
  for await (const row of query) {
    const account = String(row['_parentcustomerid_value']);
    const domain = String(row['emailaddress1']).split('@')[1] ?? '';
    domains.set(account, (domains.get(account) ?? new Set()).add(domain));
  }
  return [...domains.values()].filter(({ size }) => size > 1).length;
});
await ask('accounts whose contacts have two or more mail domains', 'mirror', async () => {
  const [row] = await mirror.query<{ found: number }>(
    `SELECT count(*) AS found FROM (
       SELECT 1 FROM contacts
       WHERE emailaddress1 IS NOT NULL AND _parentcustomerid_value IS NOT NULL
       GROUP BY _parentcustomerid_value
       HAVING count(DISTINCT CASE WHEN instr(emailaddress1, '@') > 0
         THEN substr(emailaddress1, instr(emailaddress1, '@') + 1) ELSE '' END) > 1)`,
  );
  return row!.found;
});

for (const { question, from, requests, bytes, milliseconds, answer } of results) {
  console.log(JSON.stringify({ question, from, requests, bytes, milliseconds, answer }));
}

// What the mirror itself cost, all syncs until now: that is paid once for all questions.
const [cost] = await mirror.query('SELECT sum(requests) AS requests, sum(bytes) AS bytes FROM _sync_log');
const [age] = await mirror.query('SELECT min(synced_at) AS oldest FROM _sync_state');
console.log(JSON.stringify({ mirror: { ...cost, ...age, fileBytes: (await stat(file)).size } }));
