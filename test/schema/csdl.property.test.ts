import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type Csdl,
  type EntityType,
  type NavigationProperty,
  type Property,
  parseCsdl,
} from '../../src/schema/csdl.ts';
import { schemaDocument } from './documents.ts';

/** Any name that XML keeps as it is: no blanks at the ends, line ends or control characters. */
const name = fc
  .oneof(
    fc.stringMatching(/^[a-z_][a-z0-9_]{0,12}$/),
    fc.constantFrom('__proto__', 'constructor', 'action', 'toString', 'hasOwnProperty'),
    // The name of a type has no dot, parenthesis or slash: these separate namespaces and paths.
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  )
  .map((text) => text.replaceAll(/[\p{C}\p{Z}.()/]/gu, '') || 'x');

const property: fc.Arbitrary<Property> = fc.record({
  name,
  type: fc.constantFrom('Edm.Guid', 'Edm.Int64', 'Edm.String', 'mscrm.Label', 'Collection(Edm.Int32)'),
});

const navigation: fc.Arbitrary<NavigationProperty> = fc.record({
  name,
  type: name,
  collection: fc.boolean(),
  constraints: fc.array(fc.record({ property: name, referencedProperty: name }), { maxLength: 2 }),
});

const entityType: fc.Arbitrary<EntityType> = fc.record(
  {
    name,
    baseType: name,
    abstract: fc.boolean(),
    key: fc.array(name, { maxLength: 2 }),
    properties: fc.array(property, { maxLength: 6 }),
    navigationProperties: fc.array(navigation, { maxLength: 4 }),
  },
  { requiredKeys: ['name', 'abstract', 'key', 'properties', 'navigationProperties'] },
);

const csdl: fc.Arbitrary<Csdl> = fc.record({
  entityTypes: fc.array(entityType, { minLength: 1, maxLength: 5 }),
  enumTypes: fc.array(name, { maxLength: 2 }),
  typeDefinitions: fc.array(fc.record({ name, underlyingType: fc.constant('Edm.Decimal') }), {
    maxLength: 2,
  }),
  entitySets: fc.array(
    fc.record(
      { name, entityType: name, changeTracking: fc.boolean() },
      { requiredKeys: ['name', 'entityType'] },
    ),
    { maxLength: 4 },
  ),
});

type Style = { collapse: boolean; alias: string; quote: string; numeric: boolean; noise: string };

const style: fc.Arbitrary<Style> = fc.record({
  collapse: fc.boolean(),
  alias: fc.constantFrom('mscrm.', 'Microsoft.Dynamics.CRM.'),
  quote: fc.constantFrom('"', "'"),
  numeric: fc.boolean(),
  noise: fc.constantFrom(
    '',
    '\n  ',
    '<!-- > note < -->',
    '<Unknown Name="x"><Property Name="y" /></Unknown>',
  ),
});

/** Writes the model as XML, in one of several equivalent forms. */
function write(model: Csdl, { collapse, alias, quote, numeric, noise }: Style): string {
  const escaped = (text: string) =>
    text.replaceAll(/[&<>"']/g, (c) => (numeric ? `&#x${c.charCodeAt(0).toString(16)};` : named[c]!));
  const element = (tag: string, attributes: Record<string, unknown>, ...children: string[]) => {
    const written = Object.entries(attributes)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${quote}${escaped(String(value))}${quote}`);
    const open = `<${tag}${written.join('')}`;
    return children.length === 0 && collapse ? `${open} />` : `${open}>${children.join(noise)}</${tag}>`;
  };
  const typeName = (type: string | undefined) => (type === undefined ? undefined : `${alias}${type}`);
  // The parser ignores the attributes that it does not need.
  const properties = (list: Property[]) =>
    list.map((p) => element('Property', { Name: p.name, Type: p.type, Nullable: false, Scale: 'Variable' }));
  const tracking = (supported: boolean | undefined) =>
    supported === undefined
      ? []
      : [
          element(
            'Annotation',
            { Term: 'Org.OData.Capabilities.V1.ChangeTracking' },
            element('Record', {}, element('PropertyValue', { Property: 'Supported', Bool: supported })),
          ),
        ];
  return schemaDocument(
    [
      ...model.entityTypes.map((t) =>
        element(
          'EntityType',
          { Name: t.name, BaseType: typeName(t.baseType), Abstract: t.abstract, OpenType: true },
          ...(t.key.length === 0
            ? []
            : [element('Key', {}, ...t.key.map((k) => element('PropertyRef', { Name: k })))]),
          ...properties(t.properties),
          ...t.navigationProperties.map((n) =>
            element(
              'NavigationProperty',
              {
                Name: n.name,
                Type: n.collection ? `Collection(${typeName(n.type)})` : typeName(n.type),
                Partner: 'partner',
              },
              ...n.constraints.map((c) =>
                element('ReferentialConstraint', {
                  Property: c.property,
                  ReferencedProperty: c.referencedProperty,
                }),
              ),
            ),
          ),
        ),
      ),
      element('ComplexType', { Name: 'complex' }, ...properties([{ name: 'x', type: 'Edm.Boolean' }])),
      ...model.enumTypes.map((enumType) =>
        element('EnumType', { Name: enumType, IsFlags: true }, element('Member', { Name: 'm', Value: 0 })),
      ),
      ...model.typeDefinitions.map((t) =>
        element('TypeDefinition', { Name: t.name, UnderlyingType: t.underlyingType }),
      ),
      element(
        'EntityContainer',
        { Name: 'System' },
        ...model.entitySets.map((s) =>
          element(
            'EntitySet',
            { Name: s.name, EntityType: typeName(s.entityType) },
            ...tracking(s.changeTracking),
          ),
        ),
      ),
    ].join(noise),
  );
}

const named: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

it('reads the same model from every form of a document', () => {
  fc.assert(
    fc.property(csdl, style, (model, how) => {
      expect(parseCsdl(write(model, how))).toEqual(model);
    }),
    { numRuns: 300 },
  );
});

it('reads a damaged document or throws a SyncError', () => {
  fc.assert(
    fc.property(csdl, style, fc.nat(), fc.string({ maxLength: 3 }), (model, how, at, put) => {
      const document = write(model, how);
      const place = at % document.length;
      try {
        parseCsdl(document.slice(0, place) + put + document.slice(place + 1));
      } catch (error) {
        expect(['ConfigurationError', 'RetriableError']).toContain((error as Error).name);
      }
    }),
    { numRuns: 300 },
  );
});
