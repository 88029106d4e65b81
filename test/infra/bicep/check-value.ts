import {
  type AzureProperty,
  type AzureType,
  isReadOnly,
  isRequired,
  propertiesOf,
  type ResourceType,
} from './resource-types.ts';
import { isObject, isRuntimeText, Known, Reference, typeOf, type Value } from './values.ts';

/**
 * What is wrong with a value of a resource, by its type in Azure: unknown, missing and read-only properties, wrong types,
 * values that are not in the set. A set that Azure leaves open (`string` among its values) counts as closed, so that a
 * misspelled value is found.
 */
export function checkValue(
  value: Value,
  type: AzureType,
  path: string,
  resolve: ResourceType['resolve'],
): string[] {
  const wrong = (expected: string): string[] => [`${path} must be ${expected}, not ${show(value)}`];
  if (value instanceof Reference) return wrong('a value');
  if (value instanceof Known) return checkKnown(value, type, path, resolve);
  switch (type.$type) {
    case 'AnyType':
      return [];
    case 'StringType':
      return typeof value === 'string' ? checkText(value, type, path) : wrong('a string');
    case 'StringLiteralType':
      return value === type.value || isRuntimeText(value) ? [] : wrong(`'${type.value}'`);
    case 'UnionType': {
      const elements = (type.elements as { $ref: string }[]).map(resolve);
      const literals = elements.filter(({ $type }) => $type === 'StringLiteralType');
      if (typeof value === 'string' && literals.length > 0) {
        if (isRuntimeText(value) || literals.some((one) => one.value === value)) return [];
        return wrong(`one of ${literals.map((one) => `'${one.value}'`).join(', ')}`);
      }
      const faults = elements.map((one) => checkValue(value, one, path, resolve));
      return faults.find((one) => one.length === 0) ?? faults[0]!;
    }
    case 'IntegerType': {
      if (typeof value !== 'number') return wrong('a whole number');
      const { minValue = value, maxValue = value } = type;
      return value >= minValue && value <= maxValue ? [] : wrong(`from ${minValue} to ${maxValue}`);
    }
    case 'BooleanType':
      return typeof value === 'boolean' ? [] : wrong('true or false');
    case 'ArrayType':
      if (!Array.isArray(value)) return wrong('an array');
      return value.flatMap((one, i) => checkValue(one, resolve(type.itemType!), `${path}[${i}]`, resolve));
    case 'ObjectType':
      if (!isObject(value)) return wrong('an object');
      return checkProperties(value, type.properties ?? {}, type.additionalProperties, path, resolve);
    case 'DiscriminatedObjectType': {
      if (!isObject(value)) return wrong('an object');
      const forms = type.elements as Record<string, { $ref: string }>;
      const given = value[type.discriminator!];
      const form = typeof given === 'string' ? forms[given] : undefined;
      if (form === undefined) {
        const name = path === '' ? type.discriminator : `${path}.${type.discriminator}`;
        return [`${name} must be one of ${Object.keys(forms).join(', ')}, not ${show(given)}`];
      }
      const properties = { ...type.baseProperties, ...propertiesOf(resolve(form), resolve) };
      return checkProperties(value, properties, resolve(form).additionalProperties, path, resolve);
    }
  }
  return [`${path}: types of the kind ${type.$type} are not supported`];
}

function checkProperties(
  value: { [name: string]: Value },
  properties: Record<string, AzureProperty>,
  additional: { $ref: string } | undefined,
  path: string,
  resolve: ResourceType['resolve'],
): string[] {
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const missing = Object.entries(properties)
    .filter(([name, property]) => isRequired(property) && (value[name] ?? null) === null)
    .map(([name]) => `${at(name)} is missing`);
  const faults = Object.entries(value).flatMap(([name, one]) => {
    const property = properties[name];
    if (property === undefined && additional === undefined) return [`${at(name)} does not exist`];
    if (property !== undefined && isReadOnly(property)) return [`${at(name)} is read-only`];
    // Bicep leaves out a property that is null.
    if (one === null || one === undefined) return [];
    return checkValue(one, resolve(property?.type ?? additional!), at(name), resolve);
  });
  return [...missing, ...faults];
}

function checkText(value: string, { minLength = 0, maxLength, pattern }: AzureType, path: string): string[] {
  if (isRuntimeText(value)) return [];
  if (value.length < minLength || value.length > (maxLength ?? value.length)) {
    return [`${path} must have ${minLength} to ${maxLength} characters: ${value}`];
  }
  if (pattern !== undefined && !new RegExp(pattern).test(value))
    return [`${path} must match ${pattern}: ${value}`];
  return [];
}

function checkKnown(value: Known, type: AzureType, path: string, resolve: ResourceType['resolve']): string[] {
  const kinds: Record<string, string> = {
    StringType: 'string',
    StringLiteralType: 'string',
    IntegerType: 'int',
    BooleanType: 'bool',
    ArrayType: 'array',
    ObjectType: 'object',
    DiscriminatedObjectType: 'object',
  };
  const types = type.$type === 'UnionType' ? (type.elements as { $ref: string }[]).map(resolve) : [type];
  const fits = types.some(({ $type }) => $type === 'AnyType' || kinds[$type] === value.type);
  return value.type === 'any' || fits ? [] : [`${path} must not be ${value.type} (${value.from})`];
}

const show = (value: Value): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? JSON.stringify(value).replaceAll('"', "'")
    : typeOf(value);
