import { ConfigurationError } from '../errors.ts';
import { readXml, type XmlElement } from './xml.ts';

/**
 * The part of `$metadata` that the table model needs, as plain data. Type names have no namespace or alias
 * (`account`), except in the types of properties, which are kept as written (`Edm.Guid`,
 * `mscrm.BooleanManagedProperty`).
 *
 * Source: docs.oasis-open.org: OData CSDL XML 4.01; learn.microsoft.com: Web API EntityType reference and
 * "Web API service documents".
 */
export interface Csdl {
  entityTypes: EntityType[];
  /** The names of the enumeration types. */
  enumTypes: string[];
  /** Names for primitive types: `{ name: 'Money', underlyingType: 'Edm.Decimal' }`. */
  typeDefinitions: { name: string; underlyingType: string }[];
  entitySets: EntitySet[];
}

export interface EntityType {
  name: string;
  baseType?: string;
  abstract: boolean;
  /** The key that this type declares; empty if a base type declares it. */
  key: string[];
  /** The properties that this type declares, without those of its base types. */
  properties: Property[];
  /** Whether it is an elastic table, whose rows are told apart by id and partition together. */
  elastic?: boolean;
  navigationProperties: NavigationProperty[];
}

export interface Property {
  name: string;
  type: string;
}

export interface NavigationProperty {
  name: string;
  /** The entity type that it leads to. */
  type: string;
  collection: boolean;
  constraints: { property: string; referencedProperty: string }[];
}

export interface EntitySet {
  name: string;
  entityType: string;
  /**
   * From `Org.OData.Capabilities.V1.ChangeTracking`, which Dataverse adds for `$metadata?annotations=true`
   * (learn.microsoft.com: Use change tracking to synchronize data with external systems). Undefined if the document
   * does not say.
   */
  changeTracking?: boolean;
}

/** The document of one organization is 4 to 12 MB; the limit leaves room for several times that. */
const defaultMaxBytes = 64 * 1024 * 1024;

/**
 * Reads a CSDL document (`GET /api/data/v9.2/$metadata`). Ignores elements that it does not know.
 * @throws ConfigurationError if the document is hostile, too large, or not CSDL
 * @throws RetriableError if the document is not well-formed XML
 */
export function parseCsdl(document: Uint8Array | string, options: { maxBytes?: number } = {}): Csdl {
  const root = readXml(document, '$metadata', options.maxBytes ?? defaultMaxBytes);
  const schemas =
    root.name === 'Edmx' ? childrenOf(root, 'DataServices').flatMap((e) => childrenOf(e, 'Schema')) : [];
  const elements = (name: string) => schemas.flatMap((schema) => childrenOf(schema, name));
  const csdl: Csdl = {
    entityTypes: elements('EntityType').map(readEntityType),
    enumTypes: elements('EnumType').map(nameOf),
    typeDefinitions: elements('TypeDefinition').map((element) => ({
      name: nameOf(element),
      underlyingType: element.attributes['UnderlyingType'] ?? 'Edm.String',
    })),
    entitySets: elements('EntityContainer')
      .flatMap((container) => childrenOf(container, 'EntitySet'))
      .map(readEntitySet),
  };
  if (csdl.entityTypes.length === 0) {
    throw new ConfigurationError(`$metadata has no entity types; its root element is ${root.name}`, {
      operation: 'read $metadata',
      object: '$metadata',
      hint: 'Check the Dataverse URL: the server at this address is not the Dataverse Web API.',
    });
  }
  const sets = new Map(csdl.entitySets.map((set) => [set.name, set]));
  for (const element of elements('Annotations')) applyAnnotations(sets, element);
  return csdl;
}

/** A type's name without namespace, alias or `Collection()`: `account` of `Collection(mscrm.account)`. */
export function bareName(type: string): string {
  const inner = type.startsWith('Collection(') ? type.slice('Collection('.length, -1) : type;
  return inner.slice(inner.lastIndexOf('.') + 1);
}

export function isCollection(type: string): boolean {
  return type.startsWith('Collection(');
}

function readEntityType(element: XmlElement): EntityType {
  const { BaseType, Abstract } = element.attributes;
  return {
    name: nameOf(element),
    baseType: BaseType && bareName(BaseType),
    abstract: Abstract === 'true',
    key: childrenOf(element, 'Key').flatMap((key) => childrenOf(key, 'PropertyRef').map(nameOf)),
    properties: childrenOf(element, 'Property').map((property) => ({
      name: nameOf(property),
      type: property.attributes['Type'] ?? 'Edm.String',
    })),
    elastic: hasPartitionKey(element) || undefined,
    navigationProperties: childrenOf(element, 'NavigationProperty').map(readNavigationProperty),
  };
}

/**
 * Whether the type has the alternate key of elastic tables (learn.microsoft.com: Use elastic tables using code,
 * "Alternate keys").
 */
function hasPartitionKey(element: XmlElement): boolean {
  const keys = annotationOf(element, 'AlternateKeys');
  const records =
    keys === undefined ? [] : childrenOf(keys, 'Collection').flatMap((all) => childrenOf(all, 'Record'));
  return records.some((record) =>
    childrenOf(record, 'PropertyValue').some(
      ({ attributes }) => attributes['String'] === 'KeyForNoSqlEntityWithPKPartitionId',
    ),
  );
}

function readNavigationProperty(element: XmlElement): NavigationProperty {
  const { Type = '' } = element.attributes;
  return {
    name: nameOf(element),
    type: bareName(Type),
    collection: isCollection(Type),
    constraints: childrenOf(element, 'ReferentialConstraint').map(({ attributes }) => ({
      property: attributes['Property'] ?? '',
      referencedProperty: attributes['ReferencedProperty'] ?? '',
    })),
  };
}

function readEntitySet(element: XmlElement): EntitySet {
  return {
    name: nameOf(element),
    entityType: bareName(element.attributes['EntityType'] ?? ''),
    changeTracking: changeTrackingOf(element),
  };
}

/** `<Annotations Target="mscrm.System/accounts">` annotates an entity set from outside the element. */
function applyAnnotations(sets: ReadonlyMap<string, EntitySet>, element: XmlElement): void {
  const [, name = ''] = (element.attributes['Target'] ?? '').split('/');
  const set = sets.get(name);
  if (set !== undefined) set.changeTracking = changeTrackingOf(element) ?? set.changeTracking;
}

function changeTrackingOf(element: XmlElement): boolean | undefined {
  const annotation = annotationOf(element, 'ChangeTracking');
  if (annotation === undefined) return undefined;
  for (const record of childrenOf(annotation, 'Record')) {
    const supported = childrenOf(record, 'PropertyValue').find(
      (v) => v.attributes['Property'] === 'Supported',
    );
    if (supported !== undefined) return boolOf(supported);
  }
  return boolOf(annotation);
}

/** A boolean constant, as attribute or as element. Without either it is true, the default of the term. */
function boolOf(element: XmlElement): boolean {
  const value = element.attributes['Bool'] ?? childrenOf(element, 'Bool')[0]?.text ?? 'true';
  return value.trim() === 'true';
}

/** Compares only the last part of a term, because a document may write the namespace or its alias. */
function annotationOf(element: XmlElement, term: string): XmlElement | undefined {
  return childrenOf(element, 'Annotation').find(
    ({ attributes }) => bareName(attributes['Term'] ?? '') === term && attributes['Qualifier'] === undefined,
  );
}

function childrenOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

function nameOf(element: XmlElement): string {
  return element.attributes['Name'] ?? '';
}
