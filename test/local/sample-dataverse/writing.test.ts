import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { api, send } from './http.ts';

let dataverse: SampleDataverse;
const at = (path: string) => api(dataverse.url, path);
const post = (path: string, body: unknown, prefer?: string, headers?: Record<string, string>) =>
  send(at(path), { method: 'POST', body, prefer, headers });
const patch = (path: string, body: unknown, headers: Record<string, string> = {}, prefer?: string) =>
  send(at(path), { method: 'PATCH', body, headers, prefer });

beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 1000, clock: () => new Date('2026-05-01T12:00:00.777Z') });
});
afterAll(() => dataverse.stop());

describe('single rows', () => {
  it('are created with 204 and their URL, or 201 and the row', async () => {
    const bare = await post('accounts', { name: 'A', revenue: 5000000 });
    expect(bare.status).toBe(204);
    expect(bare.text).toBe('');
    const address = bare.headers.get('odata-entityid')!;
    expect(address).toMatch(/\/accounts\([0-9a-f-]{36}\)$/);
    const row = await send(`${address}?$select=name,revenue,modifiedon,statecode,_ownerid_value`);
    expect(row.text).toContain('"revenue":5000000.0000');
    expect(row.json).toMatchObject({ name: 'A', modifiedon: '2026-05-01T12:00:00Z', statecode: 0 });
    expect(row.json._ownerid_value).not.toBeNull();
    const whole = await post('accounts?$select=name', { name: 'B' }, 'return=representation');
    expect(whole.status).toBe(201);
    expect(whole.headers.get('odata-entityid')).toBeNull();
    expect(whole.headers.get('preference-applied')).toBe('return=representation');
    expect(Object.keys(whole.json).sort()).toEqual(['@odata.context', '@odata.etag', 'accountid', 'name']);
  });

  it('get a new version with each write, and keep exact numbers', async () => {
    const { json } = await post('contacts', { fullname: 'V', new_loyaltynumber: 1 }, 'return=representation');
    const before = dataverse.store.version;
    const body = '{"new_loyaltynumber":9007199254740993}';
    const changed = await patch(`contacts(${json.contactid})`, body, {}, 'return=representation');
    expect(changed.status).toBe(200);
    expect(changed.text).toContain('"new_loyaltynumber":9007199254740993');
    expect(BigInt(changed.json.versionnumber)).toBe(before + 1n);
  });

  it('are linked by case-sensitive navigation properties', async () => {
    const [account] = dataverse.store.truth('account').keys();
    const bind = { 'parentcustomerid_account@odata.bind': `/accounts(${account})` };
    const made = await post('contacts?$select=_parentcustomerid_value', bind, 'return=representation');
    expect(made.json._parentcustomerid_value).toBe(account);
    const wrong = await post('contacts', { 'ParentCustomerId_account@odata.bind': `/accounts(${account})` });
    expect([wrong.status, wrong.json.error.code]).toEqual([400, '0x80048d19']);
    const absent = await post('contacts', {
      'parentcustomerid_account@odata.bind': '/accounts(00000000-0000-0000-0000-00000000aaaa)',
    });
    expect(absent.json.error.code).toBe('0x80040217');
    const direct = await post('contacts', { _parentcustomerid_value: account });
    expect(direct.json.error.message).toContain('Use Navigation properties instead');
  });

  it('are created or updated by PATCH, by id and by alternate key', async () => {
    const id = '7d1f4f5e-0000-4000-a000-0000000000ab';
    const made = await patch(`accounts(${id})`, { name: 'U' }, {}, 'return=representation');
    expect([made.status, made.json.accountid]).toEqual([201, id]);
    expect((await patch(`accounts(${id})`, { name: 'U2' }, {}, 'return=representation')).status).toBe(200);
    expect((await patch(`accounts(${id})`, { name: 'U2' })).status).toBe(204);
    const key = "accounts(accountnumber='O''B-1')";
    expect((await patch(key, { name: 'K' }, {}, 'return=representation')).status).toBe(201);
    const again = await patch(key, { name: 'K2', accountnumber: 'ignored' }, {}, 'return=representation');
    expect([again.status, again.json.accountnumber]).toEqual([200, "O'B-1"]);
    const nokey = await patch("accounts(name='x')", {});
    expect(nokey.status).toBe(400);
  });

  it('obey conditions', async () => {
    const id = '7d1f4f5e-0000-4000-a000-0000000000ac';
    expect((await patch(`accounts(${id})`, { name: 'x' }, { 'if-match': '*' })).status).toBe(404);
    expect((await patch(`accounts(${id})`, { name: 'x' }, { 'if-none-match': '*' })).status).toBe(204);
    const second = await patch(`accounts(${id})`, { name: 'x' }, { 'if-none-match': '*' });
    expect([second.status, second.json.error.code]).toEqual([412, '0x80040237']);
    const stale = await patch(`accounts(${id})`, { name: 'x' }, { 'if-match': 'W/"1"' });
    expect([stale.status, stale.json.error.code]).toEqual([412, '0x80060882']);
    const { headers } = await send(at(`accounts(${id})`));
    const etag = headers.get('etag')!;
    expect((await send(at(`accounts(${id})`), { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await patch(`accounts(${id})`, { name: 'y' }, { 'if-match': etag })).status).toBe(204);
    expect(
      (await send(at(`accounts(${id})`), { method: 'DELETE', headers: { 'if-match': etag } })).status,
    ).toBe(412);
    expect((await send(at(`accounts(${id})`), { method: 'DELETE' })).status).toBe(204);
    expect((await send(at(`accounts(${id})`), { method: 'DELETE' })).status).toBe(404);
  });

  it('cannot share an id or an alternate key', async () => {
    const id = crypto.randomUUID();
    await post('accounts', { accountid: id, accountnumber: 'same' });
    const sameId = await post('accounts', { accountid: id });
    expect([sameId.status, sameId.json.error.code]).toEqual([412, '0x80040237']);
    const sameKey = await post('accounts', { accountnumber: 'SAME' }, 'odata.include-annotations="*"');
    expect([sameKey.status, sameKey.json.error.code]).toEqual([412, '0x80060892']);
    expect(sameKey.json.error['@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateEntity']).toContain(id);
  });

  it('are checked for duplicates on request', async () => {
    await post('leads', { fullname: 'Twice' });
    expect((await post('leads', { fullname: 'twice' })).status).toBe(204);
    const checked = await post('leads', { fullname: 'TWICE' }, undefined, {
      'MSCRM.SuppressDuplicateDetection': 'false',
    });
    expect([checked.status, checked.json.error.code]).toEqual([412, '0x80040333']);
  });

  it.each([
    [{ nope: 1 }, '0x80060888', "Could not find a property named 'nope'"],
    [{ accountnumber: 'x'.repeat(21) }, '0x80044331', "exceeded the maximum allowed length of '20'"],
    [{ industrycode: 999 }, '0x8004431A', 'outside the valid range'],
    [{ numberofemployees: 'many' }, '0x80048d19', "expected type 'Edm.Int32'"],
    [{ numberofemployees: 3_000_000_000 }, '0x80048d19', "expected type 'Edm.Int32'"],
    [{ exchangerate: 1e20 }, '0x80044330', 'outside the valid range'],
    [{ lastusedincampaign: '1600-01-01T00:00:00Z' }, '0x80040239', 'CrmDateTime'],
    ['{"name":', '0x80048d19', 'invalid JSON'],
  ])('are rejected with %j', async (body, code, message) => {
    const answer = await post('accounts', body);
    expect([answer.status, answer.json.error.code]).toEqual([400, code]);
    expect(answer.json.error.message).toContain(message);
  });

  it('round decimals to their scale', async () => {
    const { text } = await post(
      'apex_campaignmetricses',
      '{"apex_costusd":12345.678905,"apex_successrate":99.999}',
      'return=representation',
    );
    expect(text).toContain('"apex_costusd":12345.67891');
    expect(text).toContain('"apex_successrate":100.00');
  });
});

describe('links', () => {
  it('connect two rows and can be deleted', async () => {
    const [account] = dataverse.store.truth('account').keys();
    const campaign = dataverse.store.create('new_campaign', { new_name: 'c' });
    const path = `accounts(${account})/new_account_new_campaign`;
    const body = { '@odata.id': at(`new_campaigns(${campaign})`) };
    expect((await post(`${path}/$ref`, body)).status).toBe(204);
    expect(dataverse.store.findLink('new_account_new_campaign', account!, campaign)).toBeDefined();
    expect((await post(`${path}/$ref`, body)).status).toBe(412);
    expect((await send(at(`${path}(${campaign})/$ref`), { method: 'DELETE' })).status).toBe(204);
    expect(dataverse.store.findLink('new_account_new_campaign', account!, campaign)).toBeUndefined();
    await send(at(`accounts(${account})/primarycontactid/$ref`), { method: 'DELETE' });
    expect(dataverse.store.truth('account').get(account!)!['_primarycontactid_value']).toBeNull();
  });

  it('are deleted and cleared with the row they point to', async () => {
    const user = dataverse.store.create('systemuser', { fullname: 'u' });
    const team = dataverse.store.create('team', { name: 't' });
    const child = dataverse.store.create('new_box', { _new_parentbox_value: null });
    const parent = dataverse.store.create('new_box', {});
    dataverse.store.update('new_box', child, { _new_parentbox_value: { id: parent, table: 'new_box' } });
    dataverse.store.associate('teammembership', user, team);
    dataverse.store.delete('team', team);
    dataverse.store.delete('new_box', parent);
    expect(dataverse.store.findLink('teammembership', user, team)).toBeUndefined();
    expect(dataverse.store.truth('new_box').get(child)!['_new_parentbox_value']).toBeNull();
  });
});

describe('bulk messages', () => {
  const type = { '@odata.type': 'Microsoft.Dynamics.CRM.account' };
  const multiple = (message: string, Targets: unknown[]) =>
    post(`accounts/Microsoft.Dynamics.CRM.${message}`, { Targets });

  it('create, update and upsert all rows', async () => {
    const created = await multiple('CreateMultiple', [
      { ...type, name: 'm1' },
      { ...type, name: 'm2' },
    ]);
    expect(created.status).toBe(200);
    expect(created.json.Ids.length).toBe(2);
    const [one] = created.json.Ids;
    expect((await multiple('UpdateMultiple', [{ ...type, accountid: one, name: 'm1b' }])).status).toBe(204);
    const upserted = await multiple('UpsertMultiple', [
      { ...type, accountid: one, name: 'm1c' },
      { ...type, '@odata.id': "accounts(accountnumber='UM-1')", name: 'm3' },
    ]);
    expect([upserted.status, upserted.text]).toEqual([204, '']);
    const names = [...dataverse.store.truth('account').values()].map((row) => row['name']);
    expect(names).toEqual(expect.arrayContaining(['m1c', 'm2', 'm3']));
  });

  it('write nothing if one row fails', async () => {
    const before = dataverse.store.truth('account');
    const failed = await multiple('UpsertMultiple', [
      { ...type, name: 'lost', accountid: crypto.randomUUID() },
      { ...type, name: 'changed', accountid: [...before.keys()][0] },
      { ...type, industrycode: 999, accountid: crypto.randomUUID() },
    ]);
    expect([failed.status, failed.json.error.code]).toEqual([400, '0x8004431A']);
    expect(dataverse.store.truth('account')).toEqual(before);
    expect((await multiple('CreateMultiple', [{ name: 'no type' }])).json.error.code).toBe('0x80048d19');
    const absent = await multiple('UpdateMultiple', [{ ...type, accountid: crypto.randomUUID(), name: 'x' }]);
    expect(absent.status).toBe(404);
  });
});

describe('batches', () => {
  const batch = (lines: string[], prefer?: string) =>
    send(at('$batch'), {
      method: 'POST',
      body: lines.join('\r\n'),
      headers: { 'content-type': 'multipart/mixed; boundary="batch_1"' },
      prefer,
    });
  const part = (request: string, body = '', contentId?: string) => [
    'Content-Type: application/http',
    'Content-Transfer-Encoding: binary',
    ...(contentId ? [`Content-ID: ${contentId}`] : []),
    '',
    request,
    ...(body ? ['Content-Type: application/json'] : []),
    '',
    body,
  ];
  const missing = 'GET /api/data/v9.2/accounts(00000000-0000-0000-0000-00000000aaaa) HTTP/1.1';

  it('respond in order and stop at the first failure unless the request says to continue', async () => {
    const lines = [
      '--batch_1',
      ...part('GET /api/data/v9.2/accounts?$select=name&$top=1 HTTP/1.1'),
      '--batch_1',
      ...part(missing),
      '--batch_1',
      ...part('GET contacts/$count HTTP/1.1'),
      '--batch_1--',
      '',
    ];
    const stopped = await batch(lines);
    expect(stopped.status).toBe(404);
    expect(stopped.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404']);
    const on = await batch(lines, 'odata.continue-on-error');
    expect(on.status).toBe(200);
    expect(on.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
    expect(on.headers.get('content-type')).toMatch(/^multipart\/mixed; boundary=batchresponse_/);
  });

  it('run a change set as a whole, with references between its rows', async () => {
    const changes = (last: string[]) => [
      '--batch_1',
      'Content-Type: multipart/mixed; boundary=changeset_1',
      '',
      '--changeset_1',
      ...part('POST /api/data/v9.2/accounts HTTP/1.1', '{"name":"in set"}', '1'),
      '--changeset_1',
      ...last,
      '--changeset_1--',
      '--batch_1--',
      '',
    ];
    const count = dataverse.store.count('account');
    const bound = part('POST contacts HTTP/1.1', '{"parentcustomerid_account@odata.bind":"$1"}', '2');
    const done = await batch(changes(bound));
    expect([done.status, done.text.match(/HTTP\/1\.1 204/g)?.length]).toEqual([200, 2]);
    expect(dataverse.store.count('account')).toBe(count + 1);
    const undone = await batch(changes(part('POST accounts HTTP/1.1', '{"nope":1}', '2')));
    expect(undone.status).toBe(400);
    expect(dataverse.store.count('account')).toBe(count + 1);
  });

  it('need CRLF', async () => {
    const body = ['--batch_1', ...part('GET contacts HTTP/1.1'), '--batch_1--', ''].join('\n');
    const answer = await send(at('$batch'), {
      method: 'POST',
      body,
      headers: { 'content-type': 'multipart/mixed; boundary=batch_1' },
    });
    expect([answer.status, answer.json.error.code]).toEqual([400, '0x80048d19']);
    expect(answer.json.error.message).toContain('Stream was not readable.');
  });
});
