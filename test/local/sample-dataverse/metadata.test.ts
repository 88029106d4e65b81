import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { sharedAbsent, sharedPath } from '../../shared.ts';
import { api, readAll, send } from './http.ts';

let dataverse: SampleDataverse;
const get = (path: string) => send(api(dataverse.url, path));

beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 500 });
});
afterAll(() => dataverse.stop());

describe('the metadata of the sample', () => {
  it('has a document with a type for every set, and with annotations on request', async () => {
    const plain = await get('$metadata');
    const annotated = await get('$metadata?annotations=true');
    expect(plain.text).not.toContain('Annotation');
    expect(annotated.text).toContain('Org.OData.Capabilities.V1.ChangeTracking');
    expect(annotated.text).toContain('OData.Community.Keys.V1.AlternateKeys');
    const sets = [
      ...plain.text.matchAll(/<EntitySet Name="([^"]*)" EntityType="Microsoft.Dynamics.CRM.([^"]*)"/g),
    ];
    expect(sets.length).toBeGreaterThanOrEqual(20);
    for (const [, , type] of sets) expect(plain.text).toContain(`<EntityType Name="${type}"`);
    const navigations = [
      ...plain.text.matchAll(/<NavigationProperty Name="[^"]*" Type="(?:Collection\()?mscrm\.(\w+)/g),
    ];
    for (const [, type] of navigations) expect(plain.text).toContain(`<EntityType Name="${type}"`);
  });

  it('lists tables with their set names, keys and change tracking', async () => {
    const { json } = await get(
      'EntityDefinitions?$select=LogicalName,EntitySetName,PrimaryIdAttribute,IsIntersect,ChangeTrackingEnabled',
    );
    // biome-ignore lint/suspicious/noExplicitAny: metadata
    const byName = new Map<string, any>(json.value.map((each: any) => [each.LogicalName, each]));
    expect(byName.size).toBe(23);
    expect(byName.get('systemuser').PrimaryIdAttribute).toBe('systemuserid');
    expect(byName.get('accountleads').EntitySetName).toBe('accountleadscollection');
    expect(byName.get('teammembership')).toMatchObject({ IsIntersect: true, ChangeTrackingEnabled: true });
    expect(byName.get('accountleads').ChangeTrackingEnabled).toBe(false);
    expect(byName.get('email').PrimaryIdAttribute).toBe('activityid');
  });

  it('filters, expands and casts', async () => {
    const tracked = await get(
      `EntityDefinitions?$select=LogicalName&$filter=${encodeURIComponent('ChangeTrackingEnabled eq true and IsIntersect eq false')}`,
    );
    expect(tracked.json.value.length).toBe(9);
    expect(tracked.json.value[0].MetadataId).toBeDefined();
    const managed = await get(
      `EntityDefinitions?$select=LogicalName&$filter=${encodeURIComponent('CanChangeTrackingBeEnabled/Value eq false')}`,
    );
    expect(managed.json.value).toEqual([]);
    const choices = await get(
      "EntityDefinitions(LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)",
    );
    expect(choices.json.value.map((each: { LogicalName: string }) => each.LogicalName)).toEqual([
      'familystatuscode',
      'leadsourcecode',
    ]);
    expect(choices.json.value[0].OptionSet.Options[1].Label.UserLocalizedLabel.Label).toBe('Married');
    const origins = await get(
      "EntityDefinitions(LogicalName='contact')/Attributes?$select=LogicalName,SourceType,IsSecured",
    );
    expect(origins.json.value).toContainEqual(
      expect.objectContaining({ LogicalName: 'firstname', SourceType: 0, IsSecured: false }),
    );
    const links = await get(
      'EntityDefinitions?$select=LogicalName&$expand=ManyToManyRelationships($select=IntersectEntityName,Entity1LogicalName)',
    );
    // biome-ignore lint/suspicious/noExplicitAny: metadata
    const account = links.json.value.find((each: any) => each.LogicalName === 'account');
    expect(account.ManyToManyRelationships.length).toBe(2);
    const keys = await get("EntityDefinitions(LogicalName='account')/Keys");
    expect(keys.json.value[0].KeyAttributes).toEqual(['accountnumber']);
    const single = await get("EntityDefinitions(LogicalName='account')?$select=EntitySetName");
    expect(single.json).toMatchObject({ EntitySetName: 'accounts' });
  });

  it('rejects $orderby and $top', async () => {
    for (const option of ['$orderby=LogicalName', '$top=1']) {
      const answer = await get(`EntityDefinitions?${option}`);
      expect([answer.status, answer.json.error.code]).toEqual([400, '0x80060888']);
    }
  });
});

const real = sharedPath('dataverse', 'metadata', 'lcrb-2020-04-22.xml');
describe.skipIf(real === undefined)(`a real document${real === undefined ? `: ${sharedAbsent}` : ''}`, () => {
  it('is served unchanged, with rows for the named tables', async () => {
    const tables = ['account', 'contact', 'systemuser', 'team', 'teammembership', 'email', 'webresource'];
    const served = await startSampleDataverse({ metadata: real!, tables, rows: 700 });
    const document = await send(api(served.url, '$metadata'));
    expect(document.text).toBe(readFileSync(real!, 'utf8'));
    const { json } = await send(
      api(served.url, 'EntityDefinitions?$select=LogicalName,EntitySetName,PrimaryIdAttribute,IsIntersect'),
    );
    // biome-ignore lint/suspicious/noExplicitAny: metadata
    const byName = new Map<string, any>(json.value.map((each: any) => [each.LogicalName, each]));
    let sum = 0;
    for (const name of tables) {
      const { EntitySetName, PrimaryIdAttribute } = byName.get(name);
      const { rows } = await readAll(api(served.url, EntitySetName), 'odata.maxpagesize=60');
      expect(new Set(rows.map((row) => row[PrimaryIdAttribute])).size, name).toBe(rows.length);
      sum += rows.length;
    }
    expect(sum).toBe(700);
    expect(byName.get('team').PrimaryIdAttribute).toBe('teamid');
    expect(byName.get('teammembership').IsIntersect).toBe(true);
    const users = served.store.truth('systemuser');
    for (const row of served.store.truth('teammembership').values()) {
      expect(users.has(row['systemuserid'] as string)).toBe(true);
    }
    await served.stop();
  });
});
