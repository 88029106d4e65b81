import { describe, expect, it } from 'vitest';
import { ConfigurationError, SkipTableError } from '../../src/errors.ts';
import { type Csdl, parseCsdl } from '../../src/schema/csdl.ts';
import { CsdlIndex } from '../../src/schema/csdl-index.ts';
import type { Table } from '../../src/schema/table.ts';
import { needsAnnotations, tableFromCsdl } from '../../src/schema/table-from-csdl.ts';
import { resolveTables } from '../../src/schema/tables-from-csdl.ts';
import { documents, latestDocuments, parseDocument, realDocuments, schemaDocument } from './documents.ts';

const entity = (name: string, base: string, key: string, content: string, abstract = false) =>
  `<EntityType Name="${name}" ${base && `BaseType="mscrm.${base}"`} ${abstract ? 'Abstract="true"' : ''}>${key && `<Key><PropertyRef Name="${key}" /></Key>`}${content}</EntityType>`;
const guid = (...names: string[]) =>
  names.map((name) => `<Property Name="${name}" Type="Edm.Guid" />`).join('');
const property = (name: string, type: string) => `<Property Name="${name}" Type="${type}" />`;
const lookup = (name: string, type: string, column: string, referenced: string) =>
  `<NavigationProperty Name="${name}" Type="mscrm.${type}"><ReferentialConstraint Property="${column}" ReferencedProperty="${referenced}" /></NavigationProperty>`;
const sets = (names: Record<string, string>) =>
  `<EntityContainer Name="System">${Object.entries(names)
    .map(([type, set]) => `<EntitySet Name="${set}" EntityType="Microsoft.Dynamics.CRM.${type}" />`)
    .join('')}</EntityContainer>`;

const sample = parseCsdl(
  schemaDocument(
    [
      entity('crmbaseentity', '', '', '', true),
      entity('principal', 'crmbaseentity', 'ownerid', guid('ownerid'), true),
      entity('systemuser', 'principal', '', guid('systemuserid') + property('fullname', 'Edm.String')),
      entity('team', 'principal', '', guid('teamid')),
      entity(
        'activitypointer',
        'crmbaseentity',
        'activityid',
        guid('activityid', '_regardingobjectid_value') +
          property('subject', 'Edm.String') +
          lookup('regardingobjectid_account', 'account', '_regardingobjectid_value', 'accountid') +
          '<NavigationProperty Name="regardingobjectid_contact" Type="mscrm.contact" />',
        true,
      ),
      entity('email', 'activitypointer', '', property('sender', 'Edm.String')),
      entity(
        'contact',
        'crmbaseentity',
        'contactid',
        guid('contactid', '_parentcustomerid_value') +
          lookup('parentcustomerid_account', 'account', '_parentcustomerid_value', 'accountid') +
          lookup('parentcustomerid_contact', 'contact', '_parentcustomerid_value', 'contactid'),
      ),
      entity(
        'account',
        'crmbaseentity',
        'accountid',
        guid(
          'accountid',
          '_ownerid_value',
          '_owninguser_value',
          '_owningteam_value',
          '_createdby_value',
          'address1_addressid',
          '_unknownthing_value',
        ) +
          property('versionnumber', 'Edm.Int64') +
          property('modifiedon', 'Edm.DateTimeOffset') +
          property('revenue', 'Edm.Decimal') +
          property('iscustomizable', 'mscrm.BooleanManagedProperty') +
          property('tags', 'Collection(Edm.Int32)') +
          property('rights', 'mscrm.Rights') +
          property('photo', 'Edm.Binary') +
          property('open', 'Edm.Boolean') +
          property('price', 'mscrm.Money') +
          property('Action', 'Edm.String') +
          property('action', 'Edm.Int32') +
          lookup('ownerid', 'principal', '_ownerid_value', 'ownerid') +
          lookup('owninguser', 'systemuser', '_owninguser_value', 'systemuserid') +
          lookup('owningteam', 'team', '_owningteam_value', 'teamid'),
      ),
      entity(
        'teammembership',
        'crmbaseentity',
        'teammembershipid',
        guid('teamid', 'systemuserid', 'teammembershipid') + property('versionnumber', 'Edm.Int64'),
      ),
      entity(
        'party',
        'crmbaseentity',
        'partyid',
        guid('partyid', '_activityid_value') +
          lookup('activityid', 'activitypointer', '_activityid_value', 'activityid'),
      ),
      entity('link', 'crmbaseentity', 'linkid', guid('linkid', 'accountidone', 'accountidtwo')),
      entity('keyless', 'crmbaseentity', '', ''),
      '<ComplexType Name="BooleanManagedProperty" /><EnumType Name="Rights" /><TypeDefinition Name="Money" UnderlyingType="Edm.Decimal" />',
      sets({
        systemuser: 'systemusers',
        team: 'teams',
        activitypointer: 'activitypointers',
        email: 'emails',
        contact: 'contacts',
        account: 'accounts',
        teammembership: 'teammemberships',
        party: 'parties',
        link: 'linkset',
        keyless: 'keylesses',
      }),
    ].join(''),
  ),
);

const tableOf = (logicalName: string, options = {}): Table =>
  tableFromCsdl(sample, { logicalName, entitySetName: CsdlIndex.of(sample).set(logicalName)!.name }, options);

describe('tableFromCsdl', () => {
  it('reads each type of property and orders columns: the key, then by name', () => {
    const account = tableOf('account');
    expect(account).toMatchObject({
      name: 'accounts',
      primaryKey: 'accountid',
      versionColumn: 'versionnumber',
      modifiedOnColumn: 'modifiedon',
    });
    const names = account.columns.map(({ name }) => name);
    expect(names).toEqual(['accountid', ...names.slice(1).sort((a, b) => (a < b ? -1 : 1))]);
    const types = Object.fromEntries(account.columns.map((c) => [c.name, `${c.type} ${c.reading}`]));
    expect(types).toMatchObject({
      accountid: 'TEXT guid',
      versionnumber: 'INTEGER integer',
      revenue: 'REAL real',
      price: 'REAL real',
      open: 'INTEGER boolean',
      iscustomizable: 'TEXT json',
      tags: 'TEXT json',
      rights: 'TEXT text',
      photo: 'BLOB base64',
    });
  });

  it('describes a column in the shape that earlier versions stored', () => {
    expect(tableOf('account').columns.find(({ name }) => name === 'revenue')).toEqual({
      name: 'revenue',
      property: 'revenue',
      edmType: 'Edm.Decimal',
      type: 'REAL',
      reading: 'real',
    });
  });

  it('renames one of two properties that differ only in case', () => {
    const actions = tableOf('account').columns.filter(({ name }) => /^action/i.test(name));
    expect(actions).toMatchObject([
      { name: 'Action', property: 'Action', type: 'TEXT' },
      { name: 'action_2', property: 'action', type: 'INTEGER' },
    ]);
  });

  it('inherits key and columns, and prefers the primary id to the inherited key', () => {
    expect(tableOf('email')).toMatchObject({ primaryKey: 'activityid' });
    expect(tableOf('email').columns.map(({ name }) => name)).toEqual([
      'activityid',
      '_regardingobjectid_type',
      '_regardingobjectid_value',
      'sender',
      'subject',
    ]);
    expect(tableOf('systemuser').primaryKey).toBe('systemuserid');
    expect(tableOf('systemuser').columns.map(({ name }) => name)).toContain('ownerid');
    expect(
      tableFromCsdl(sample, { logicalName: 'team', entitySetName: 'teams', primaryId: 'teamid' }).primaryKey,
    ).toBe('teamid');
    expect(
      tableFromCsdl(sample, { logicalName: 'team', entitySetName: 'teams', primaryId: 'absent' }).primaryKey,
    ).toBe('teamid');
  });

  it('finds foreign keys by constraints, then by names, and only to existing tables', () => {
    expect(tableOf('account').foreignKeys).toEqual([
      { column: '_createdby_value', targets: ['systemuser'], source: 'pattern' },
      {
        column: '_ownerid_value',
        targets: ['systemuser', 'team'],
        typeColumn: '_ownerid_type',
        source: 'metadata',
      },
      { column: '_owningteam_value', targets: ['team'], source: 'metadata' },
      { column: '_owninguser_value', targets: ['systemuser'], source: 'metadata' },
    ]);
    expect(tableOf('email').foreignKeys).toEqual([
      {
        column: '_regardingobjectid_value',
        targets: ['account', 'contact'],
        typeColumn: '_regardingobjectid_type',
        source: 'metadata',
      },
    ]);
    expect(tableOf('party').foreignKeys).toEqual([
      { column: '_activityid_value', targets: ['activitypointer', 'email'], source: 'metadata' },
    ]);
    expect(tableOf('teammembership')).toMatchObject({
      intersect: true,
      foreignKeys: [
        { column: 'systemuserid', targets: ['systemuser'], source: 'pattern' },
        { column: 'teamid', targets: ['team'], source: 'pattern' },
      ],
    });
    expect(tableOf('link')).toMatchObject({
      intersect: true,
      foreignKeys: [{ column: 'accountidone' }, { column: 'accountidtwo' }],
    });
    expect(tableOf('systemuser').foreignKeys).toEqual([]);
  });

  it('requests annotations only if a lookup needs them', () => {
    expect(needsAnnotations(tableOf('account'))).toEqual(['Microsoft.Dynamics.CRM.lookuplogicalname']);
    const ownerless = tableOf('account', { columns: { exclude: ['ownerid'] } });
    expect(needsAnnotations(ownerless)).toEqual([]);
  });

  it('selects columns, and keeps the ones that the sync needs', () => {
    const names = (columns: object) => tableOf('account', { columns }).columns.map(({ name }) => name);
    expect(names({ include: ['revenue', 'createdby'] })).toEqual([
      'accountid',
      '_createdby_value',
      'modifiedon',
      'revenue',
      'versionnumber',
    ]);
    expect(names({ exclude: ['revenue', 'versionnumber'] })).not.toContain('revenue');
    expect(names({ exclude: ['revenue', 'versionnumber'] })).toContain('versionnumber');
    expect(() => names({ include: ['revenu'] })).toThrow(
      /account has no column revenu; did you mean revenue/,
    );
  });

  it('says what is wrong and suggests a name', () => {
    const failures = (...names: string[]) =>
      resolveTables(sample, [], names).failures.map(({ error }) => error);
    expect(failures('acount')).toEqual([expect.any(ConfigurationError)]);
    expect(failures('acount')[0]!.message).toBe('Dataverse has no table acount; did you mean account?');
    expect(failures('accounts')[0]!.message).toMatch(/this is the entity set of account, write account/);
    expect(failures('account', 'nothinglikeit', 'acount').map(({ object }) => object)).toEqual([
      'nothinglikeit',
      'acount',
    ]);
    expect(failures('principal')[0]!.message).toMatch(/no entity set/);
    expect(() => tableOf('keyless')).toThrow(SkipTableError);
  });

  it('tracks an N:N table if both its ends are tracked', () => {
    const tracked = (logicalName: string, entitySetName: string) => ({
      logicalName,
      entitySetName,
      changeTracking: true,
    });
    const one = [tracked('team', 'teams')];
    const both = [...one, tracked('systemuser', 'systemusers')];
    expect(resolveTables(sample, one, ['teammembership']).tables[0]!.changeTracking).toBe(false);
    expect(resolveTables(sample, both, ['teammembership']).tables[0]!.changeTracking).toBe(true);
  });
});

/** The same document with every list reversed. */
function reversed(csdl: Csdl): Csdl {
  const turn = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(turn).reverse();
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, turn(inner)]));
  };
  return turn(csdl) as Csdl;
}

describe.skipIf(documents.length === 0)(realDocuments, () => {
  it.each(latestDocuments)('%s: every entity set is a table with key and columns, in any order', (name) => {
    const csdl = parseDocument(name);
    const backwards = reversed(csdl);
    const types = new Set(csdl.entityTypes.map((type) => type.name));
    for (const { name: entitySetName, entityType: logicalName } of csdl.entitySets) {
      const table = tableFromCsdl(csdl, { logicalName, entitySetName });
      const columns = table.columns.map((column) => column.name);
      expect(columns[0]).toBe(table.primaryKey);
      expect(columns.length).toBeGreaterThan(1);
      expect(new Set(columns.map((column) => column.toLowerCase())).size).toBe(columns.length);
      for (const { column, targets, typeColumn } of table.foreignKeys) {
        expect(columns).toContain(column);
        if (typeColumn !== undefined) expect(columns).toContain(typeColumn);
        expect(targets.every((target) => types.has(target))).toBe(true);
      }
      expect(tableFromCsdl(backwards, { logicalName, entitySetName })).toEqual(table);
    }
  });
});
