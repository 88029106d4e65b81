import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Dataverse, type Metadata, NotFoundError, reference } from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;
let metadata: Metadata;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 100 });
  dataverse = connect(sample);
  metadata = dataverse.metadata;
  await metadata.createTable({
    schemaName: 'new_Project',
    displayName: { 1033: 'Project', 1030: 'Projekt' },
    displayCollectionName: 'Projects',
    primaryColumn: { schemaName: 'new_Name', displayName: 'Name', maxLength: 200 },
    columns: [
      { type: 'decimal', schemaName: 'new_Budget', displayName: 'Budget', precision: 2 },
      { type: 'date', schemaName: 'new_Start', displayName: 'Start' },
      {
        type: 'choice',
        schemaName: 'new_Phase',
        displayName: 'Phase',
        options: [
          { value: 1, label: 'Plan' },
          { value: 2, label: 'Do' },
        ],
      },
    ],
    changeTracking: true,
  });
});

afterEach(() => sample.faults.clear());
afterAll(() => sample.stop());

test('creates a table whose rows can be written at once', async () => {
  const projects = dataverse.table('new_project');
  const id = await projects.create({
    new_name: 'A',
    new_budget: 1.25,
    new_start: '2024-05-01',
    new_phase: 2,
  });
  const row = await projects
    .query()
    .withFormattedValues()
    .where((f) => f.eq('new_projectid', id))
    .first();
  expect(row).toMatchObject({
    new_budget: 1.25,
    new_start: '2024-05-01',
    'new_phase@OData.Community.Display.V1.FormattedValue': 'Do',
  });
  const definition = await metadata.readTable('new_project', {
    select: ['SchemaName', 'ChangeTrackingEnabled'],
  });
  expect(definition).toMatchObject({ SchemaName: 'new_Project', ChangeTrackingEnabled: true });
  expect(definition).not.toHaveProperty(['@odata.context']);
});

test('creates, changes and deletes columns', async () => {
  await metadata.createColumn('new_project', {
    type: 'text',
    schemaName: 'new_Note',
    displayName: 'Note',
    maxLength: 10,
  });
  const projects = dataverse.table('new_project');
  await expect(projects.create({ new_note: 'x'.repeat(20) })).rejects.toMatchObject({ code: '0x80044331' });
  await metadata.updateColumn('new_project', 'new_note', { MaxLength: 20 });
  await projects.create({ new_note: 'x'.repeat(20) });
  expect(await metadata.readColumn('new_project', 'new_note')).toMatchObject({
    MaxLength: 20,
    SchemaName: 'new_Note',
  });
  await metadata.deleteColumn('new_project', 'new_note');
  await expect(projects.create({ new_note: 'x' })).rejects.toMatchObject({ status: 400 });
  await expect(metadata.readColumn('new_project', 'new_note')).rejects.toThrow(NotFoundError);
});

test('turns change tracking on, with the other properties of the table', async () => {
  await metadata.createTable({
    schemaName: 'new_Untracked',
    displayName: 'Untracked',
    displayCollectionName: 'Untracked',
    primaryColumn: { schemaName: 'new_Name', displayName: 'Name' },
  });
  const read = () => metadata.readTable('new_untracked', { select: ['ChangeTrackingEnabled'] });
  expect(await read()).toMatchObject({ ChangeTrackingEnabled: false });
  await metadata.updateTable('new_untracked', { ChangeTrackingEnabled: true });
  await metadata.publish({ tables: ['new_untracked'] });
  expect(await read()).toMatchObject({ ChangeTrackingEnabled: true });
  await metadata.deleteTable('new_untracked');
  await expect(read()).rejects.toThrow(NotFoundError);
});

test('creates alternate keys, and says when one is ready', async () => {
  await metadata.createColumn('new_project', { type: 'text', schemaName: 'new_Code', displayName: 'Code' });
  await metadata.createKey('new_project', {
    schemaName: 'new_ByCode',
    displayName: 'Code',
    columns: ['new_code'],
  });
  expect(await metadata.readKeyStatus('new_project', 'new_bycode')).toMatch(/Pending|InProgress/);
  expect(await metadata.readKeyStatus('new_project', 'new_bycode')).toBe('Active');
  const projects = dataverse.table('new_project');
  await projects.upsert({ new_code: 'P-1' }, { new_name: 'By code' });
  expect(await projects.retrieve({ new_code: 'P-1' })).toMatchObject({ new_name: 'By code' });
  await metadata.deleteKey('new_project', 'new_bycode');
  await expect(projects.retrieve({ new_code: 'P-1' })).rejects.toMatchObject({ status: 400 });
});

test('creates and deletes relationships of both kinds', async () => {
  await metadata.createLookup({
    schemaName: 'new_account_project',
    from: 'new_project',
    to: 'account',
    column: { schemaName: 'new_AccountId', displayName: 'Account' },
  });
  const projects = dataverse.table('new_project');
  const account = await dataverse.table('account').create({ name: 'Owner of a project' });
  const id = await projects.create({ new_name: 'Related', new_AccountId: reference('accounts', account) });
  expect(await projects.retrieve(id, { select: ['_new_accountid_value'] })).toMatchObject({
    _new_accountid_value: account,
  });
  await metadata.createManyToMany({ schemaName: 'new_project_contact', tables: ['new_project', 'contact'] });
  const contact = await dataverse.table('contact').create({ lastname: 'Member' });
  await projects.associate(id, 'new_project_contact', reference('contacts', contact));
  const row = await projects.retrieve(id, { select: ['new_name'], expand: { new_project_contact: true } });
  expect(row).toMatchObject({ new_project_contact: [{ contactid: contact }] });
  await metadata.deleteRelationship('new_project_contact');
  await metadata.deleteRelationship('new_account_project');
  await expect(projects.retrieve(id, { select: ['_new_accountid_value'] })).rejects.toMatchObject({
    status: 400,
  });
  await expect(metadata.deleteRelationship('new_nothing')).rejects.toThrow(NotFoundError);
});

test('manages options, those of a column and those of a shared choice', async () => {
  await metadata.createChoice({
    name: 'new_color',
    displayName: 'Color',
    options: [{ value: 1, label: 'Red' }],
  });
  await metadata.createColumn('new_project', {
    type: 'choice',
    schemaName: 'new_Color',
    displayName: 'Color',
    globalChoice: 'new_color',
  });
  const added = await metadata.addOption({ globalChoice: 'new_color' }, { label: 'Green' });
  const projects = dataverse.table('new_project');
  const id = await projects.create({ new_color: added });
  const label = async () => {
    const row = await projects.retrieve(id, { select: ['new_color'], formatted: true });
    return row!['new_color@OData.Community.Display.V1.FormattedValue'];
  };
  expect(await label()).toBe('Green');
  await metadata.updateOption({ globalChoice: 'new_color' }, { value: added, label: 'Grün' });
  expect(await label()).toBe('Grün');
  expect(await metadata.readChoice('new_color')).toMatchObject({
    IsGlobal: true,
    Options: [{ Value: 1 }, { Value: added }],
  });
  await metadata.deleteOption({ globalChoice: 'new_color' }, 1);
  await expect(projects.create({ new_color: 1 })).rejects.toMatchObject({ code: '0x8004431a' });
  await expect(metadata.deleteChoice('new_color')).rejects.toMatchObject({ status: 400 });
  await metadata.deleteColumn('new_project', 'new_color');
  await metadata.deleteChoice('new_color');
  await metadata.publish({ tables: ['new_project'], choices: ['new_color'] });
  const own = { table: 'new_project', column: 'new_phase' };
  expect(await metadata.addOption(own, { value: 3, label: 'Check' })).toBe(3);
  await metadata.deleteOption(own, 3);
});

test('repeats no change that Dataverse may have made', async () => {
  sample.faults.add({ kind: 'commit-then-reset', match: /POST .*\/Attributes/, times: 1 });
  const create = metadata.createColumn('new_project', {
    type: 'integer',
    schemaName: 'new_Once',
    displayName: 'Once',
  });
  await expect(create).rejects.toMatchObject({ name: 'TransientError', maybeExecuted: true });
  expect(await metadata.readColumn('new_project', 'new_once')).toMatchObject({ AttributeType: 'Integer' });
});
