import { describe, expect, it } from 'vitest';
import { ConfigurationError, RetriableError, SkipTableError } from '../../src/errors.ts';
import { parseCsdl } from '../../src/schema/csdl.ts';
import { CsdlIndex } from '../../src/schema/csdl-index.ts';
import { tableFromCsdl } from '../../src/schema/table-from-csdl.ts';
import {
  documents,
  latestDocuments,
  parseDocument,
  readDocument,
  realDocuments,
  schemaDocument,
} from './documents.ts';

describe('parseCsdl', () => {
  it('reads types, keys, properties, navigation and sets', () => {
    const csdl = parseCsdl(
      schemaDocument(`
        <EntityType Name="crmbaseentity" Abstract="true" />
        <EntityType Name="account" BaseType="mscrm.crmbaseentity" OpenType="true">
          <Key><PropertyRef Name="accountid" /></Key>
          <Property Name="accountid" Type="Edm.Guid" Nullable="false" />
          <Property Name="name" Type="Edm.String" MaxLength="160" Unicode="false" />
          <Property Name="revenue" Type="Edm.Decimal" Precision="19" Scale="Variable" />
          <Property Name="flag" Type="mscrm.BooleanManagedProperty" />
          <NavigationProperty Name="primarycontactid" Type="Microsoft.Dynamics.CRM.contact" Partner="x">
            <ReferentialConstraint Property="_primarycontactid_value" ReferencedProperty="contactid" />
          </NavigationProperty>
          <NavigationProperty Name="all" Type="Collection(mscrm.contact)" />
        </EntityType>
        <ComplexType Name="BooleanManagedProperty"><Property Name="Value" Type="Edm.Boolean" /></ComplexType>
        <EnumType Name="Rights" IsFlags="true"><Member Name="None" Value="0" /><Member Name="Read" /></EnumType>
        <TypeDefinition Name="Money" UnderlyingType="Edm.Decimal" />
        <Function Name="Ignored"><Parameter Name="a" Type="Edm.String" /></Function>
        <EntityContainer Name="System">
          <EntitySet Name="accounts" EntityType="Microsoft.Dynamics.CRM.account">
            <NavigationPropertyBinding Path="primarycontactid" Target="contacts" />
          </EntitySet>
        </EntityContainer>`),
    );
    expect(csdl).toEqual({
      entityTypes: [
        { name: 'crmbaseentity', abstract: true, key: [], properties: [], navigationProperties: [] },
        {
          name: 'account',
          baseType: 'crmbaseentity',
          abstract: false,
          key: ['accountid'],
          properties: [
            { name: 'accountid', type: 'Edm.Guid' },
            { name: 'name', type: 'Edm.String' },
            { name: 'revenue', type: 'Edm.Decimal' },
            { name: 'flag', type: 'mscrm.BooleanManagedProperty' },
          ],
          navigationProperties: [
            {
              name: 'primarycontactid',
              type: 'contact',
              collection: false,
              constraints: [{ property: '_primarycontactid_value', referencedProperty: 'contactid' }],
            },
            { name: 'all', type: 'contact', collection: true, constraints: [] },
          ],
        },
      ],
      enumTypes: ['Rights'],
      typeDefinitions: [{ name: 'Money', underlyingType: 'Edm.Decimal' }],
      entitySets: [{ name: 'accounts', entityType: 'account' }],
    });
  });

  it('reads change tracking inside an entity set and from outside it', () => {
    const tracking = (supported: string) =>
      `<Annotation Term="Org.OData.Capabilities.V1.ChangeTracking"><Record>${supported}</Record></Annotation>`;
    const csdl = parseCsdl(
      schemaDocument(`
        <EntityType Name="a" />
        <EntityContainer Name="System">
          <EntitySet Name="inside" EntityType="mscrm.a">${tracking('<PropertyValue Property="Supported" Bool="true" />')}</EntitySet>
          <EntitySet Name="element" EntityType="mscrm.a">${tracking('<PropertyValue Property="Supported"><Bool>false</Bool></PropertyValue>')}</EntitySet>
          <EntitySet Name="outside" EntityType="mscrm.a" />
          <EntitySet Name="silent" EntityType="mscrm.a" />
        </EntityContainer>
        <Annotations Target="mscrm.System/outside">${tracking('<PropertyValue Property="Supported" Bool="true" />')}</Annotations>`),
    );
    expect(csdl.entitySets.map((set) => set.changeTracking)).toEqual([true, false, true, undefined]);
  });

  it('knows an elastic table by its alternate key, and no model is made of it', () => {
    const key = (name: string) =>
      `<Annotation Term="OData.Community.Keys.V1.AlternateKeys"><Collection><Record><PropertyValue Property="Name" String="${name}" /></Record></Collection></Annotation>`;
    const type = (name: string, more: string) =>
      `<EntityType Name="${name}"><Key><PropertyRef Name="id" /></Key><Property Name="id" Type="Edm.Guid" />${more}</EntityType>`;
    const csdl = parseCsdl(
      schemaDocument(type('a', key('KeyForNoSqlEntityWithPKPartitionId')) + type('b', key('another'))),
    );
    expect(csdl.entityTypes.map(({ elastic }) => elastic === true)).toEqual([true, false]);
    const model = (logicalName: string, elastic: boolean) => () =>
      tableFromCsdl(csdl, { logicalName, entitySetName: `${logicalName}s`, elastic });
    expect(model('a', false)).toThrow(/Table a is an elastic table/);
    expect(model('b', true)).toThrow(SkipTableError);
    expect(model('b', false)().primaryKey).toBe('id');
  });

  it('reads several schemas and character references', () => {
    const document = schemaDocument('<EntityType Name="a&amp;b &#233; &#x4e2d;" />').replace(
      '</edmx:DataServices>',
      '<Schema Namespace="Other"><EntityType Name="b" BaseType="Other.a.b" /></Schema></edmx:DataServices>',
    );
    expect(parseCsdl(document).entityTypes.map(({ name }) => name)).toEqual(['a&b é 中', 'b']);
    expect(parseCsdl(Buffer.from(`\uFEFF${document}`)).entityTypes).toHaveLength(2);
  });

  it.each([
    ['a DOCTYPE', `<!DOCTYPE x [<!ENTITY a "b">]>${schemaDocument('<EntityType Name="a" />')}`, /DOCTYPE/],
    ['too many levels', `${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}`, /deeper/],
    ['another kind of XML', '<html><body>Sign in</body></html>', /no entity types.*html/],
    ['bytes that are not UTF-8', Buffer.from([0x3c, 0x61, 0xff, 0x3e]), /UTF-8/],
  ])('rejects %s', (_, document, message) => {
    expect(() => parseCsdl(document)).toThrow(ConfigurationError);
    expect(() => parseCsdl(document)).toThrow(message);
  });

  it('rejects a document over the limit before parsing it', () => {
    const document = schemaDocument('<EntityType Name="a" />');
    expect(() => parseCsdl(document, { maxBytes: 100 })).toThrow(/more than the limit of 100/);
  });

  it('quotes only a little of a malformed document', () => {
    const message = (document: string) => {
      try {
        return String(parseCsdl(document));
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(message('<'.repeat(100_000)).length).toBeLessThan(300);
    expect(message('<a>'.repeat(30_000))).toMatch(/^[^\n]{10,300}$/);
  });

  it('treats a document that is cut short anywhere as retriable', () => {
    const document = schemaDocument('<EntityType Name="a"><Key><PropertyRef Name="b" /></Key></EntityType>');
    for (let length = 0; length < document.length; length += 7) {
      expect(() => parseCsdl(document.slice(0, length))).toThrow(RetriableError);
    }
  });
});

/** The same counts by regular expressions alone. */
function countByPattern(text: string) {
  const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
  const types = text.match(/<EntityType\b[^>]*?\/>|<EntityType\b[\s\S]*?<\/EntityType>/g) ?? [];
  const inTypes = (pattern: RegExp) =>
    types.reduce((sum, type) => sum + (type.match(pattern)?.length ?? 0), 0);
  return {
    entityTypes: types.length,
    enumTypes: count(/<EnumType\b/g),
    entitySets: count(/<EntitySet\s/g),
    properties: inTypes(/<Property\s/g),
    navigationProperties: inTypes(/<NavigationProperty\s/g),
    constraints: inTypes(/<ReferentialConstraint\b/g),
  };
}

describe.skipIf(documents.length === 0)(realDocuments, () => {
  it.each(latestDocuments)('%s: the counts are those of the regular expressions', (name) => {
    const csdl = parseDocument(name);
    const types = csdl.entityTypes;
    const navigations = types.flatMap((type) => type.navigationProperties);
    expect({
      entityTypes: types.length,
      enumTypes: csdl.enumTypes.length,
      entitySets: csdl.entitySets.length,
      properties: types.flatMap((type) => type.properties).length,
      navigationProperties: navigations.length,
      constraints: navigations.flatMap((navigation) => navigation.constraints).length,
    }).toEqual(countByPattern(readDocument(name).toString()));
    expect(types.length).toBeGreaterThan(200);
  });
});

describe('hostile sizes', () => {
  const document = (types: string, rest = ''): string =>
    `<edmx:Edmx xmlns:edmx="x"><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM">${types}${rest}</Schema></edmx:DataServices></edmx:Edmx>`;
  const seconds = (work: () => unknown): number => {
    const began = performance.now();
    work();
    return (performance.now() - began) / 1000;
  };

  it('takes time in proportion to the number of annotations', () => {
    const text = (n: number): string => {
      const each = (make: (at: number) => string): string =>
        Array.from({ length: n }, (_, at) => make(at)).join('');
      const sets = each((at) => `<EntitySet Name="s${at}" EntityType="mscrm.t"/>`);
      const annotations = each((at) => `<Annotations Target="mscrm.System/s${at}"/>`);
      return document(
        '<EntityType Name="t"/>',
        `<EntityContainer Name="System">${sets}</EntityContainer>${annotations}`,
      );
    };
    const parse = (n: number): number => seconds(() => parseCsdl(text(n)));
    parse(100);
    // Ten times the size: a search per annotation would take a hundred times as long.
    expect(parse(20_000)).toBeLessThan(30 * parse(2_000) + 0.5);
  });

  it('rejects a chain of base types that is longer than any of Dataverse', () => {
    const chain = Array.from(
      { length: 4_000 },
      (_, at) => `<EntityType Name="t${at}" BaseType="mscrm.t${at + 1}"/>`,
    );
    const csdl = parseCsdl(document(chain.join('')));
    expect(() => CsdlIndex.of(csdl)).toThrow('more than 32 base types, or they form a cycle');
  });
});
