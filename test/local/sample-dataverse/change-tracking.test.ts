import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { api, readAll, send } from './http.ts';

let dataverse: SampleDataverse;
let now: Date;
const track = { prefer: 'odata.track-changes,odata.maxpagesize=100' };

beforeEach(async () => {
  now = new Date('2026-05-01T12:00:00Z');
  dataverse = await startSampleDataverse({ rows: 2000, clock: () => now });
});
afterEach(() => dataverse.stop());

async function firstDeltaLink(path: string): Promise<string> {
  const { pages } = await readAll(api(dataverse.url, path), track.prefer);
  for (const page of pages.slice(0, -1)) expect(page['@odata.deltaLink']).toBeUndefined();
  return pages.at(-1)['@odata.deltaLink'];
}

describe('change tracking', () => {
  it('ends a first read with a delta link, which returns later changes', async () => {
    const link = await firstDeltaLink('accounts?$select=name');
    expect(link).toMatch(/\/accounts\?\$select=name&\$deltatoken=\d+%2105%2f01%2f2026%2012%3a00%3a00$/);
    const none = await send(link);
    expect(none.json.value).toEqual([]);
    expect(none.json['@odata.context']).toMatch(/#accounts\(name\)\/\$delta$/);

    const { store } = dataverse;
    const [one, two] = [...store.truth('account').keys()];
    store.update('account', one!, { name: 'changed' });
    store.delete('account', two!);
    const fresh = store.create('account', { name: 'fresh' });
    const gone = store.create('account', { name: 'gone' });
    store.delete('account', gone);
    const delta = await send(none.json['@odata.deltaLink']);
    const rows = delta.json.value.filter((each: { reason?: string }) => each.reason === undefined);
    const deleted = delta.json.value.filter((each: { reason?: string }) => each.reason === 'deleted');
    expect(rows.map((each: { accountid: string }) => each.accountid)).toEqual(
      expect.arrayContaining([one, fresh]),
    );
    expect(deleted.map((each: { id: string }) => each.id)).toEqual([two, gone]);
    expect(deleted[0]['@odata.context']).toMatch(/#accounts\/\$deletedEntity$/);
    expect((await send(delta.json['@odata.deltaLink'])).json.value).toEqual([]);
  });

  it('returns rows that change during the first read', async () => {
    const first = await send(api(dataverse.url, 'contacts'), track);
    const seen = first.json.value[0].contactid;
    dataverse.store.update('contact', seen, { firstname: 'meanwhile' });
    let page = first.json;
    while (page['@odata.nextLink']) page = (await send(page['@odata.nextLink'])).json;
    const delta = await send(page['@odata.deltaLink']);
    expect(delta.json.value.map((row: { contactid: string }) => row.contactid)).toContain(seen);
  });

  it('pages and counts a large delta', async () => {
    const link = await firstDeltaLink('contacts?$select=fullname');
    const ids = [...dataverse.store.truth('contact').keys()];
    for (const id of ids.slice(0, 250)) dataverse.store.update('contact', id, { fullname: 'x' });
    for (const id of ids.slice(200, 260)) dataverse.store.delete('contact', id);
    const { rows, pages } = await readAll(link, 'odata.maxpagesize=70');
    expect(pages.length).toBeGreaterThan(3);
    const upserted = rows.filter((row) => row.reason === undefined).map((row) => row.contactid);
    expect(new Set(upserted).size).toBe(upserted.length);
    expect(upserted).toEqual(expect.arrayContaining(ids.slice(0, 200)));
    expect(rows.filter((row) => row.reason === 'deleted').map((row) => row.id)).toEqual(ids.slice(200, 260));
    expect(pages.at(-1)['@odata.deltaLink']).toBeDefined();
    const count = await send(
      link.replace('/contacts?', '/contacts/$count?').replace(/\$select=fullname&/, ''),
    );
    expect(Number(count.text.replace('\ufeff', ''))).toBe(rows.length);
  });

  it('tracks an N:N table if both of its ends are tracked', async () => {
    const link = await firstDeltaLink('teammemberships');
    const [user] = dataverse.store.truth('systemuser').keys();
    const team = dataverse.store.create('team', { name: 'new team' });
    const id = dataverse.store.associate('teammembership', user!, team);
    const added = await send(link);
    expect(added.json.value.map((row: { teammembershipid: string }) => row.teammembershipid)).toEqual([id]);
    dataverse.store.disassociate('teammembership', user!, team);
    const removed = await send(added.json['@odata.deltaLink']);
    expect(removed.json.value).toMatchObject([{ id, reason: 'deleted' }]);
  });

  it('returns the changes of derived tables in their abstract base', async () => {
    const link = await firstDeltaLink('activitypointers?$select=subject');
    const id = dataverse.store.create('task', { subject: 'call back' });
    const delta = await send(link);
    expect(delta.json.value).toMatchObject([{ activityid: id, subject: 'call back' }]);
  });

  it.each([
    ['leads', '0x80072491', "Entity lead isn't enabled for change tracking."],
    ['accountleadscollection', '0x80072492', 'both related entities'],
    [
      'accounts?$filter=name eq null',
      '0x80060888',
      'The "$filter" query parameter isn\'t supported when Change Tracking is enabled.',
    ],
    ['accounts?$orderby=name', '0x80060888', '"$orderby"'],
    ['accounts?$top=5', '0x80060888', '"$top"'],
  ])('rejects %s', async (path, code, message) => {
    const answer = await send(api(dataverse.url, path), track);
    expect([answer.status, answer.json.error.code]).toEqual([400, code]);
    expect(answer.json.error.message).toContain(message);
  });

  it('needs the read privilege for the whole organization', async () => {
    dataverse.store.withoutOrganizationRead.add('account');
    const answer = await send(api(dataverse.url, 'accounts'), track);
    expect([answer.status, answer.json.error.code]).toEqual([403, '0x80040220']);
    expect((await send(api(dataverse.url, 'accounts'))).status).toBe(200);
  });

  it('expires tokens after a week and after a change of the columns', async () => {
    const link = await firstDeltaLink('accounts?$select=name');
    now = new Date('2026-05-08T11:59:00Z');
    expect((await send(link)).status).toBe(200);
    now = new Date('2026-05-08T12:01:00Z');
    const old = await send(link);
    expect(old.json.error).toEqual({
      code: '0x80044352',
      message: 'Version stamp associated with the client has expired. Please perform a full sync.',
    });
    const second = await firstDeltaLink('accounts?$select=name');
    dataverse.store.schemaChanged(dataverse.store.table('account'));
    expect((await send(second)).json.error.code).toBe('0x80044352');
    expect((await send(await firstDeltaLink('accounts?$select=name'))).status).toBe(200);
  });
});
