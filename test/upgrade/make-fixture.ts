/**
 * Writes `fixtures/<version>`: what this release leaves in storage, for `upgrade.test.ts` of later releases to
 * continue with. Run it once per release, with the code that is released:
 *
 *     npm exec -- node test/upgrade/make-fixture.ts
 *
 * Every row is written here with fixed values, so that nothing depends on the sample Dataverse's generated rows.
 */
import manifest from '../../package.json' with { type: 'json' };
import type { Value } from '../../src/local/sample-dataverse/index.ts';
import { acceptRecords } from '../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../src/metrics/write/drain-journal.ts';
import type { FetchMessage, MergeMessage } from '../../src/sync/documents/messages.ts';
import { startAzurite } from '../azurite.ts';
import { createWorld, record } from '../metrics/metrics-world.ts';
import {
  type Fixture,
  type InterruptedRun,
  type MetricsBlobs,
  readStorage,
  writeFixture,
} from './fixture.ts';
import { type FileDescription, type TableDescription, UpgradeOrganisation } from './organisation.ts';

const stamps = { createdon: 'datetime!', modifiedon: 'datetime!', versionnumber: 'int64!' };
const state: TableDescription['choices'] = {
  statecode: {
    kind: 'state',
    options: [
      [0, 'Active'],
      [1, 'Inactive'],
    ],
  },
  statuscode: {
    kind: 'status',
    options: [
      [1, 'Active', 0],
      [2, 'Inactive', 1],
    ],
  },
};

/** One table for each way to find changes, and every kind of column. */
const tables: TableDescription[] = [
  {
    name: 'trade_product',
    set: 'trade_products',
    primaryName: 'trade_name',
    tracked: true,
    columns: { trade_productid: 'id', trade_name: 'text', trade_price: 'money', ...stamps },
  },
  {
    name: 'trade_person',
    set: 'trade_persons',
    primaryName: 'trade_name',
    tracked: true,
    columns: { trade_personid: 'id', trade_name: 'text', trade_birthdate: 'date', ...stamps },
    lookups: { trade_manager: [['trade_person', 'trade_manager']] },
  },
  {
    name: 'trade_company',
    set: 'trade_companies',
    primaryName: 'trade_name',
    tracked: true,
    columns: {
      trade_companyid: 'id',
      trade_name: 'text',
      trade_notes: 'memo',
      trade_employees: 'int',
      trade_registration: 'int64',
      trade_revenue: 'money',
      trade_rate: 'decimal:28:12',
      trade_rating: 'double',
      trade_customer: 'bool',
      trade_founded: 'date',
      trade_lastvisit: 'datetime',
      trade_external: 'guid',
      trade_logo: 'binary',
      trade_contract: 'file',
      trade_contract_name: 'text!',
      ...stamps,
    },
    choices: {
      ...state,
      trade_size: {
        kind: 'choice',
        options: [
          [1, 'Small'],
          [2, 'Medium'],
          [3, 'Large “and” larger'],
        ],
      },
      trade_regions: {
        kind: 'multichoice',
        options: [
          [100_000_000, 'North'],
          [100_000_001, 'South'],
          [100_000_002, '日本'],
        ],
      },
    },
    lookups: {
      trade_contact: [['trade_person', 'trade_contact']],
      trade_parent: [['trade_company', 'trade_parent']],
    },
  },
  {
    name: 'trade_order',
    set: 'trade_orders',
    primaryName: 'trade_name',
    columns: { trade_orderid: 'id', trade_name: 'text', trade_total: 'money', ...stamps },
    choices: state,
    lookups: {
      trade_buyer: [
        ['trade_company', 'trade_buyer_company'],
        ['trade_person', 'trade_buyer_person'],
      ],
    },
  },
  {
    name: 'trade_orderline',
    set: 'trade_orderlines',
    // Without versionnumber: the mirror keeps a version of its own.
    columns: { trade_orderlineid: 'id', trade_quantity: 'int', trade_text: 'text' },
    lookups: { trade_order: [['trade_order', 'trade_order']] },
  },
  {
    name: 'trade_company_product',
    set: 'trade_company_productset',
    intersect: [
      ['trade_company', 'trade_companyid', 'trade_company_product'],
      ['trade_product', 'trade_productid', 'trade_company_product'],
    ],
  },
  {
    name: 'trade_order_product',
    set: 'trade_order_productset',
    intersect: [
      ['trade_order', 'trade_orderid', 'trade_order_product'],
      ['trade_product', 'trade_productid', 'trade_order_product'],
    ],
  },
];

const entities = [
  'trade_product',
  { name: 'trade_person', filtered: true, deletes: 'mark', history: true },
  { name: 'trade_company', history: true, rawJson: true, files: true },
  { name: 'trade_order', history: true, deletes: 'mark' },
  'trade_orderline',
  'trade_company_product',
  'trade_order_product',
];

/** Several pages and several slices for each table. */
const settings = { DATAVERSE_PAGE_SIZE: '10', SYNC_SLICE_MB: '0.001' };

/** The id of row `n` of a table; ids of neighbours do not follow each other in the service's order. */
function idOf(table: string, n: number): string {
  const number = tables.findIndex(({ name }) => name === table) + 1;
  const part = String(n).padStart(4, '0');
  return `${part.split('').reverse().join('')}000${number}-0000-4000-8000-00000000${part}`;
}

const personTo = (n: number): Value => ({ table: 'trade_person', id: idOf('trade_person', n) });
const companyTo = (n: number): Value => ({ table: 'trade_company', id: idOf('trade_company', n) });

const files: FileDescription[] = [1, 2, 3].map((n) => ({
  table: 'trade_company',
  id: idOf('trade_company', n),
  column: 'trade_contract',
  name: `Contract ${n} “ü”.txt`,
  base64: Buffer.from(`The contract of company ${n}.`).toString('base64'),
}));

function create(
  org: UpgradeOrganisation,
  table: string,
  n: number,
  values: Record<string, Value> = {},
): void {
  org.store.create(table, { [`${table}id`]: idOf(table, n), ...values });
}

async function fill(org: UpgradeOrganisation): Promise<void> {
  for (let n = 1; n <= 12; n++)
    create(org, 'trade_product', n, { trade_name: `Product ${n}`, trade_price: `${n}.5000` });
  // Persons 1 to 15 are contacts of companies, 16 to 25 managers of these, 31 to 40 buyers; nobody refers to the rest.
  for (let n = 1; n <= 45; n++) {
    create(org, 'trade_person', n, {
      trade_name: `Person ${n}`,
      trade_birthdate: `19${50 + n}-01-0${(n % 9) + 1}`,
      ...(n <= 10 ? { _trade_manager_value: personTo(n + 15) } : {}),
    });
  }
  for (let n = 1; n <= 32; n++) {
    create(org, 'trade_company', n, {
      trade_name: `Company ${n} “Ελλάδα”`,
      trade_notes: n % 3 === 0 ? null : `First line\nsecond line of ${n}, 'quoted' "twice"`,
      trade_employees: n * 10,
      trade_registration: 9_007_199_254_740_993n + BigInt(n),
      trade_revenue: `${n * 1000}.2500`,
      trade_rate: '1.234567890123',
      trade_rating: n / 7,
      trade_customer: n % 2 === 0,
      trade_founded: `20${String(n).padStart(2, '0')}-05-17`,
      trade_lastvisit: `2026-0${(n % 9) + 1}-01T12:00:00Z`,
      trade_external: idOf('trade_product', n),
      trade_logo: n === 4 ? Buffer.from('a small image').toString('base64') : null,
      trade_size: (n % 3) + 1,
      trade_regions: n % 4 === 0 ? '100000000,100000002' : null,
      _trade_contact_value: n <= 15 ? personTo(n) : null,
      _trade_parent_value: n > 20 ? companyTo(n - 20) : null,
    });
  }
  for (const file of files) await org.upload(file);
  for (let n = 1; n <= 24; n++) {
    create(org, 'trade_order', n, {
      trade_name: `Order ${n}`,
      trade_total: `${n}00.0000`,
      _trade_buyer_value: n <= 10 ? personTo(n + 30) : companyTo(n),
    });
  }
  for (let n = 1; n <= 36; n++) {
    create(org, 'trade_orderline', n, {
      trade_quantity: n,
      trade_text: `Line ${n}`,
      _trade_order_value: { table: 'trade_order', id: idOf('trade_order', (n % 24) + 1) },
    });
  }
  for (let n = 1; n <= 14; n++) link(org, 'trade_company_product', n, n, (n % 12) + 1);
  for (let n = 1; n <= 11; n++) link(org, 'trade_order_product', n, n, (n % 12) + 1);
}

function link(org: UpgradeOrganisation, table: string, n: number, first: number, second: number): void {
  const [one, two] = org.store.table(table).intersect!.ends;
  create(org, table, n, { [one.column]: idOf(one.table, first), [two.column]: idOf(two.table, second) });
}

/** One insert, update and delete of each table. */
function change(org: UpgradeOrganisation, round: number): void {
  const { store } = org;
  const update = (table: string, n: number, values: Record<string, Value>): void =>
    store.update(table, idOf(table, n), values);
  create(org, 'trade_product', 20 + round, { trade_name: `New product ${round}` });
  update('trade_company', 5 + round, { trade_name: `Renamed in ${round}`, trade_size: 2 });
  // A contact changes: another person comes into the mirror, one leaves it.
  update('trade_company', 11 + round, { _trade_contact_value: personTo(25 + round) });
  update('trade_person', round, { trade_name: `Person renamed in ${round}` });
  update('trade_order', 2 + round, { trade_total: '1.0000' });
  update('trade_orderline', 2 + round, { trade_quantity: 1000 });
  store.delete('trade_order', idOf('trade_order', 20 + round));
  store.delete('trade_person', idOf('trade_person', 31 + round));
  store.delete('trade_company', idOf('trade_company', 30 - round));
  store.delete('trade_orderline', idOf('trade_orderline', 30 + round));
  store.disassociate('trade_company_product', idOf('trade_company', round), idOf('trade_product', round + 1));
  create(org, 'trade_company', 40 + round, { trade_name: `New company ${round}` });
}

/** The next run, twice on its way. */
async function interruptedRuns(org: UpgradeOrganisation): Promise<Pick<Fixture, 'midFetch' | 'beforeMerge'>> {
  const { services } = org.harness;
  const fetches: FetchMessage[] = [];
  const merges: MergeMessage[] = [];
  let delivered = 0;
  const { sendFetch, sendMerge } = services;
  services.sendFetch = async (message) => {
    fetches.push(message);
    await sendFetch(message);
  };
  services.sendMerge = async (message) => {
    merges.push(message);
    await sendMerge(message);
  };
  const now = async (): Promise<InterruptedRun> => {
    const { published, work } = await readStorage(org.harness.storage);
    return { published, work, fetch: fetches.slice(delivered), merge: [...merges] };
  };
  const deliver = async (): Promise<void> => {
    const error = await org.harness.deliver();
    if (error !== undefined) throw error;
    delivered += 1;
  };
  org.clock.now += 3_600_000;
  await org.harness.start();
  // Every table has its first slice, and none its last one where it has several.
  while (delivered < entities.length) await deliver();
  const midFetch = await now();
  while (merges.length === 0) await deliver();
  const beforeMerge = await now();
  if (midFetch.fetch.length === 0 || beforeMerge.fetch.length > 0)
    throw new Error('the run stopped elsewhere');
  return { midFetch, beforeMerge };
}

/** A record that waits in the journal, one that was written, and one that Dataverse rejects. */
async function metricsBlobs(): Promise<MetricsBlobs> {
  const azurite = await startAzurite();
  try {
    const { services, table, container } = createWorld(azurite);
    table.refuses = ({ campaignId }) => campaignId === 'rejected';
    await acceptRecords(
      services,
      [record({ campaignId: 'written' }), record({ campaignId: 'rejected' })],
      true,
    );
    await drainJournal(services);
    await acceptRecords(services, [record({ campaignId: 'waiting' })], true);
    const blobs: MetricsBlobs = {};
    for await (const { name, properties, metadata = {} } of container.listBlobsFlat({
      includeMetadata: true,
    })) {
      const content = await container.getBlobClient(name).downloadToBuffer();
      blobs[name] = { type: properties.blobType!, metadata, text: content.toString() };
    }
    return blobs;
  } finally {
    await azurite.stop();
  }
}

const org = await UpgradeOrganisation.start({
  clock: Date.parse('2026-11-21T02:00:00Z'),
  version: 72_201_545n,
  metadataVersion: 6_012_567n,
  ...{ entities, settings, tables, rows: {}, tombstones: {}, files: [] },
});
try {
  await fill(org);
  await org.sync();
  change(org, 1);
  const changed = await org.sync();
  // An idle run: its rows of _sync_log wait in state.json.
  const idle = await org.sync();
  for (const { phase, totals } of [changed, idle]) console.log(phase, JSON.stringify(totals));
  const complete = await readStorage(org.harness.storage);
  change(org, 2);
  // Several pages of changes.
  for (let n = 1; n <= 25; n++)
    org.store.update('trade_company', idOf('trade_company', n), { trade_rating: n / 3 });
  const interrupted = await interruptedRuns(org);
  writeFixture(manifest.version, {
    organisation: org.describe({ entities, settings, tables, files }),
    complete,
    ...interrupted,
    metrics: await metricsBlobs(),
  });
  console.log(`Wrote the fixture of ${manifest.version}.`);
} finally {
  await org.stop();
}
