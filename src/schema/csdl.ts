import { ConfigurationError } from '../errors.ts';
import { readXml, type XmlElement } from './xml.ts';

/**
 * What `$metadata` says, as plain data. Names of types stand without namespace or alias (`account`), except in
 * the types of properties, which are kept as written (`Edm.Guid`, `mscrm.BooleanManagedProperty`).
 *
 * Source: docs.oasis-open.org: OData CSDL XML 4.01; learn.microsoft.com: Web API EntityType reference and
 * "Web API service documents".
 */
export interface Csdl {
  entityTypes: EntityType[];
  complexTypes: ComplexType[];
  enumTypes: EnumType[];
  /** Names for primitive types: `{ name: 'Money', underlyingType: 'Edm.Decimal' }`. */
  typeDefinitions: { name: string; underlyingType: string }[];
  entitySets: EntitySet[];
}

export interface EntityType {
  name: string;
  baseType?: string;
  abstract: boolean;
  openType: boolean;
  /** The key declared on this very type; empty where a base type declares it. */
  key: string[];
  /** Only the type's own; those of its base types are added by whoever climbs. */
  properties: Property[];
  navigationProperties: NavigationProperty[];
  /** From `OData.Community.Keys.V1.AlternateKeys`: the columns of each alternate key. */
  alternateKeys: string[][];
}

export interface Property {
  name: string;
  type: string;
  nullable?: boolean;
  maxLength?: number;
  precision?: number;
  /** Digits after the decimal point, or `variable`. */
  scale?: number | 'variable';
}

export interface NavigationProperty {
  name: string;
  /** The entity type it leads to. */
  type: string;
  collection: boolean;
  partner?: string;
  constraints: { property: string; referencedProperty: string }[];
}

export interface ComplexType {
  name: string;
  baseType?: string;
  properties: Property[];
}

export interface EnumType {
  name: string;
  flags: boolean;
  members: { name: string; value: string }[];
}

export interface EntitySet {
  name: string;
  entityType: string;
  /**
   * From `Org.OData.Capabilities.V1.ChangeTracking`, which Dataverse adds for `$metadata?annotations=true`
   * (learn.microsoft.com: Use change tracking to synchronize data with external systems). Absent: not said.
   */
  changeTracking?: boolean;
}

/** An organisation's document is 4 to 12 MB; several times that is still read. */
const defaultMaxBytes = 64 * 1024 * 1024;

/**
 * Reads a CSDL document (`GET /api/data/v9.2/$metadata`). Elements it does not know are passed over.
 * @throws ConfigurationError where the document is hostile, too large, or not CSDL
 * @throws RetriableError where it is not well-formed XML
 */
export function parseCsdl(document: Uint8Array | string, options: { maxBytes?: number } = {}): Csdl {
  const root = readXml(document, '$metadata', options.maxBytes ?? defaultMaxBytes);
  const csdl: Csdl = {
    entityTypes: [],
    complexTypes: [],
    enumTypes: [],
    typeDefinitions: [],
    entitySets: [],
  };
  const targeted: XmlElement[] = [];
  const schemas =
    root.name === 'Edmx' ? childrenOf(root, 'DataServices').flatMap((e) => childrenOf(e, 'Schema')) : [];
  for (const element of schemas.flatMap((schema) => schema.children)) {
    if (element.name === 'EntityType') csdl.entityTypes.push(readEntityType(element));
    else if (element.name === 'ComplexType') csdl.complexTypes.push(readComplexType(element));
    else if (element.name === 'EnumType') csdl.enumTypes.push(readEnumType(element));
    else if (element.name === 'TypeDefinition') csdl.typeDefinitions.push(readTypeDefinition(element));
    else if (element.name === 'Annotations') targeted.push(element);
    else if (element.name === 'EntityContainer') {
      csdl.entitySets.push(...childrenOf(element, 'EntitySet').map(readEntitySet));
    }
  }
  if (csdl.entityTypes.length === 0) {
    throw new ConfigurationError(`$metadata holds no entity type; its root element is ${root.name}`, {
      operation: 'read $metadata',
      object: '$metadata',
      hint: 'check the Dataverse URL: something other than the Dataverse Web API answers there',
    });
  }
  for (const element of targeted) applyAnnotations(csdl, element);
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
  const { BaseType, Abstract, OpenType } = element.attributes;
  return {
    name: nameOf(element),
    ...(BaseType === undefined ? {} : { baseType: bareName(BaseType) }),
    abstract: Abstract === 'true',
    openType: OpenType === 'true',
    key: childrenOf(element, 'Key').flatMap((key) => childrenOf(key, 'PropertyRef').map(nameOf)),
    properties: childrenOf(element, 'Property').map(readProperty),
    navigationProperties: childrenOf(element, 'NavigationProperty').map(readNavigationProperty),
    alternateKeys: alternateKeysOf(element),
  };
}

function readComplexType(element: XmlElement): ComplexType {
  const { BaseType } = element.attributes;
  return {
    name: nameOf(element),
    ...(BaseType === undefined ? {} : { baseType: bareName(BaseType) }),
    properties: childrenOf(element, 'Property').map(readProperty),
  };
}

function readEnumType(element: XmlElement): EnumType {
  const members = childrenOf(element, 'Member');
  return {
    name: nameOf(element),
    flags: element.attributes['IsFlags'] === 'true',
    // Members without a value count up from zero (CSDL 4.01, 10.2).
    members: members.map((member, i) => ({
      name: nameOf(member),
      value: member.attributes['Value'] ?? String(i),
    })),
  };
}

function readTypeDefinition(element: XmlElement): { name: string; underlyingType: string } {
  return { name: nameOf(element), underlyingType: element.attributes['UnderlyingType'] ?? 'Edm.String' };
}

function readProperty(element: XmlElement): Property {
  const { Type, Nullable, MaxLength, Precision, Scale } = element.attributes;
  const property: Property = { name: nameOf(element), type: Type ?? 'Edm.String' };
  if (Nullable !== undefined) property.nullable = Nullable === 'true';
  if (isNumber(MaxLength)) property.maxLength = Number(MaxLength);
  if (isNumber(Precision)) property.precision = Number(Precision);
  if (isNumber(Scale)) property.scale = Number(Scale);
  else if (Scale !== undefined && /^variable$/i.test(Scale)) property.scale = 'variable';
  return property;
}

function readNavigationProperty(element: XmlElement): NavigationProperty {
  const { Type = '', Partner } = element.attributes;
  return {
    name: nameOf(element),
    type: bareName(Type),
    collection: isCollection(Type),
    ...(Partner === undefined ? {} : { partner: Partner }),
    constraints: childrenOf(element, 'ReferentialConstraint').map(({ attributes }) => ({
      property: attributes['Property'] ?? '',
      referencedProperty: attributes['ReferencedProperty'] ?? '',
    })),
  };
}

function readEntitySet(element: XmlElement): EntitySet {
  const set: EntitySet = {
    name: nameOf(element),
    entityType: bareName(element.attributes['EntityType'] ?? ''),
  };
  const changeTracking = changeTrackingOf(element);
  if (changeTracking !== undefined) set.changeTracking = changeTracking;
  return set;
}

/** `<Annotations Target="mscrm.System/accounts">` says from outside what could stand inside the element. */
function applyAnnotations(csdl: Csdl, element: XmlElement): void {
  const target = element.attributes['Target'] ?? '';
  const slash = target.indexOf('/');
  if (slash >= 0) {
    const set = csdl.entitySets.find((candidate) => candidate.name === target.slice(slash + 1));
    const changeTracking = changeTrackingOf(element);
    if (set !== undefined && changeTracking !== undefined) set.changeTracking = changeTracking;
  } else {
    const type = csdl.entityTypes.find((candidate) => candidate.name === bareName(target));
    type?.alternateKeys.push(...alternateKeysOf(element));
  }
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

/** A boolean constant as attribute or as element; where neither is written, the term's default: true. */
function boolOf(element: XmlElement): boolean {
  const value = element.attributes['Bool'] ?? childrenOf(element, 'Bool')[0]?.text ?? 'true';
  return value.trim() === 'true';
}

function alternateKeysOf(element: XmlElement): string[][] {
  const annotation = annotationOf(element, 'AlternateKeys');
  if (annotation === undefined) return [];
  const keys = recordsOf(annotation).map((record) =>
    childrenOf(record, 'PropertyValue')
      .filter((value) => value.attributes['Property'] === 'Key')
      .flatMap(recordsOf)
      .flatMap((reference) => childrenOf(reference, 'PropertyValue'))
      .filter((value) => value.attributes['Property'] === 'Name')
      .map((value) => value.attributes['PropertyPath'] ?? value.attributes['String'] ?? ''),
  );
  return keys.filter((columns) => columns.length > 0 && columns.every((column) => column !== ''));
}

function recordsOf(element: XmlElement): XmlElement[] {
  return childrenOf(element, 'Collection').flatMap((collection) => childrenOf(collection, 'Record'));
}

/** Terms may be written with their namespace or an alias of it, so only the last part is compared. */
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

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^\d+$/.test(text);
}
