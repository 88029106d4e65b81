import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { sharedAbsent, sharedPath } from '../../shared.ts';
import { api, readAll, send } from './http.ts';

let dataverse: SampleDataverse;
const get = (path: string, prefer?: string) => send(api(dataverse.url, path), { prefer });
const version = async () => {
  const { json } = await get('accounts?$top=1', 'odata.include-annotations="*"');
  return json['@Microsoft.Dynamics.CRM.globalmetadataversion'] as string;
};

describe('a schema that changes', () => {
  beforeEach(async () => {
    dataverse = await startSampleDataverse({ rows: 1000 });
  });
  afterEach(() => dataverse.stop());

  it('adds, drops and retypes columns and keeps the rows', async () => {
    const before = await version();
    const old = dataverse.store.truth('account');
    dataverse.schema.addColumn('account', 'new_extra', 'decimal:10:2', { fill: true });
    dataverse.schema.dropColumn('account', 'telephone1');
    dataverse.schema.retypeColumn('account', 'numberofemployees', 'text:20', (value) =>
      value === null ? null : String(value),
    );
    expect(Number(await version())).toBe(Number(before) + 3);
    const document = (await get('$metadata')).text;
    expect(document).toContain('Name="new_extra" Type="Edm.Decimal"');
    const { rows } = await readAll(api(dataverse.url, 'accounts'));
    expect(rows.length).toBe(old.size);
    for (const row of rows) {
      const was = old.get(row.accountid)!;
      expect('telephone1' in row).toBe(false);
      expect(row.name).toBe(was['name']);
      expect(row.numberofemployees).toBe(
        was['numberofemployees'] === null ? null : String(was['numberofemployees']),
      );
    }
    expect(rows.some((row) => typeof row.new_extra === 'number')).toBe(true);
    expect((await get('accounts?$select=telephone1')).status).toBe(400);
  });

  it('adds and drops a column of derived tables with that of their base', async () => {
    dataverse.schema.addColumn('activitypointer', 'new_extra', 'text', { fill: true });
    dataverse.schema.dropColumn('activitypointer', 'isbilled');
    const { rows } = await readAll(api(dataverse.url, 'emails?$select=subject,new_extra,messageid'));
    const truth = dataverse.store.truth('email');
    for (const row of rows) expect(row.messageid).toBe(truth.get(row.activityid)!['messageid']);
    expect(rows.some((row) => row.new_extra !== null)).toBe(true);
    expect((await get('tasks?$select=isbilled')).status).toBe(400);
  });

  it('drops a table and turns change tracking on', async () => {
    expect(dataverse.store.count('email')).toBeGreaterThan(0);
    dataverse.schema.dropTable('lead');
    expect((await get('leads')).json.error.code).toBe('0x8006088a');
    const document = (await get('$metadata')).text;
    expect(/"lead"|mscrm\.lead"|accountleads/.test(document)).toBe(false);
    const regarding = dataverse.store.truth('email').values();
    const targets = [...regarding].map(
      (row) => (row['_regardingobjectid_value'] as { table?: string } | null)?.table,
    );
    expect(new Set(targets)).toEqual(new Set([undefined, 'account', 'contact']));
    expect((await get('new_boxes', 'odata.track-changes')).json.error.code).toBe('0x80072491');
    dataverse.schema.enableChangeTracking('new_box');
    expect((await get('new_boxes', 'odata.track-changes')).json['@odata.deltaLink']).toBeDefined();
  });
});

const snapshots = ['2020-11-05', '2020-12-11', '2020-12-15', '2021-06-11', '2021-06-25'].map((day) =>
  sharedPath('dataverse', 'metadata', `embc-ess-${day}.xml`),
);
const absent = snapshots.includes(undefined);
describe.skipIf(absent)(`a real organization over time${absent ? `: ${sharedAbsent}` : ''}`, () => {
  it('keeps its rows from document to document', async () => {
    const tables = ['account', 'contact', 'systemuser', 'email'];
    dataverse = await startSampleDataverse({ metadata: snapshots[0]!, tables, rows: 200, tracked: 'all' });
    const ids = dataverse.store.truth('contact');
    const first = await get('contacts?$select=fullname', 'odata.track-changes');
    for (const path of snapshots.slice(1)) {
      dataverse.schema.replaceMetadata(path!);
      const now = dataverse.store.truth('contact');
      expect([...now.keys()]).toEqual([...ids.keys()]);
      for (const [id, row] of now) expect(row['fullname']).toEqual(ids.get(id)!['fullname']);
      const { rows } = await readAll(api(dataverse.url, 'contacts'));
      expect(rows.length).toBe(ids.size);
    }
    const delta = await send(first.json['@odata.deltaLink']);
    expect(delta.json.error.code).toBe('0x80044352');
    await dataverse.stop();
  });
});
