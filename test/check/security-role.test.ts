import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecurityRole } from '../../src/check/security-role.ts';
import { createDataverseClient } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

const metricsTable = 'apex_campaignmetrics';
let dataverse: SampleDataverse;
let role: SecurityRole;
beforeEach(async () => {
  dataverse = await startSampleDataverse({ rows: 50 });
  const credential = createCredential({ accessToken: 'test' });
  role = new SecurityRole(createDataverseClient({ url: dataverse.url, credential }), "Sync's role");
});
afterEach(() => dataverse.stop());

const read = async (path: string) => {
  const response = await fetch(`${dataverse.url}/api/data/v9.2/${path}`, {
    headers: { authorization: 'Bearer test' },
  });
  return (await response.json()) as Record<string, { Depth?: string; roleid?: string }[]>;
};

test('needs read on each table, create and write on that of campaign metrics, and nothing else', async () => {
  const { needed, unknown } = await role.privileges(
    ['account', 'teammembership', 'new_nothing'],
    metricsTable,
  );
  expect(unknown).toEqual(['new_nothing']);
  expect(needed.map(({ name }) => name.toLowerCase())).toEqual(
    expect.arrayContaining([
      ...['prvreadaccount', 'prvcreateapex_campaignmetrics', 'prvreadapex_campaignmetrics'],
      ...['prvwriteapex_campaignmetrics', 'prvreadentity', 'prvreadattribute'],
    ]),
  );
  // An intersect table has none of its own.
  expect(needed.map(({ name }) => name.toLowerCase())).not.toContain('prvreadteammembership');
  expect(needed.filter(({ name }) => /^prv(?:Delete|Assign|Share|Append)/.test(name))).toEqual([]);
});

test('creates the role once, at organisation level, and completes it when tables are added', async () => {
  const { needed } = await role.privileges(['account'], metricsTable);
  const first = await role.create(needed);
  expect(first).toMatchObject({ isNew: true, added: needed.map(({ name }) => name) });
  const { RolePrivileges: held } = await read(`RetrieveRolePrivilegesRole(RoleId=${first.id})`);
  expect(held!.map(({ Depth }) => Depth)).toEqual(needed.map(() => 'Global'));
  expect(await role.create(needed)).toEqual({ id: first.id, isNew: false, added: [] });
  const { needed: more } = await role.privileges(['account', 'contact'], metricsTable);
  const second = await role.create(more);
  expect(second).toMatchObject({ id: first.id, isNew: false });
  expect(second.added.map((name) => name.toLowerCase())).toEqual(['prvreadcontact']);
});

test('assigns the role once; an unknown client id and a missing privilege are named', async () => {
  const [user, row] = [...dataverse.store.truth('systemuser')].find(([, one]) => one['applicationid'])!;
  const applicationid = String(row['applicationid']);
  await expect(role.assign(applicationid)).rejects.toThrow('does not exist');
  const { id } = await role.create((await role.privileges(['account'], metricsTable)).needed);
  expect(await role.assign(applicationid)).toBe(true);
  expect(await role.assign(applicationid)).toBe(false);
  const { value } = await read(`systemusers(${user})/systemuserroles_association`);
  expect(value).toMatchObject([{ roleid: id }]);
  await expect(role.assign('00000000-0000-0000-0000-000000000000')).rejects.toThrow('no application user');

  dataverse.store.deniedPrivileges.add('prvCreateRole');
  const credential = createCredential({ accessToken: 'test' });
  const other = new SecurityRole(createDataverseClient({ url: dataverse.url, credential }), 'Another');
  await expect(other.create([])).rejects.toThrow('prvCreateRole');
});
