import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Known, runtimeText, type Value } from './values.ts';

/** A type as in the files of github.com/Azure/bicep-types-az; only what a check uses. */
export interface AzureType {
  $type: string;
  name?: string;
  value?: string;
  minLength?: number;
  maxLength?: number;
  minValue?: number;
  maxValue?: number;
  pattern?: string;
  elements?: { $ref: string }[] | Record<string, { $ref: string }>;
  itemType?: { $ref: string };
  properties?: Record<string, AzureProperty>;
  baseProperties?: Record<string, AzureProperty>;
  additionalProperties?: { $ref: string };
  discriminator?: string;
  body?: { $ref: string };
  writableScopes?: number;
  readableScopes?: number;
}

export interface AzureProperty {
  type: { $ref: string };
  flags: number;
}

/** The bits of `flags`: github.com/Azure/bicep-types, TypePropertyFlags. */
export const isRequired = ({ flags }: AzureProperty): boolean => (flags & 1) !== 0;
export const isReadOnly = ({ flags }: AzureProperty): boolean => (flags & 2) !== 0;

/** The bits of `writableScopes`: ScopeType of github.com/Azure/bicep-types. */
export const scopeBits: Record<string, number> = {
  tenant: 1,
  managementGroup: 2,
  subscription: 4,
  resourceGroup: 8,
  extension: 16,
};

/** A resource type at one version, with the types that it refers to. */
export interface ResourceType {
  name: string;
  writableScopes: number;
  body: AzureType;
  resolve(reference: { $ref: string }): AzureType;
}

/** The resource types of Azure that a folder holds. */
export class ResourceTypes {
  readonly #types = new Map<string, ResourceType>();

  /** @param folder files `*.json` of bicep-types-az, each an array of types */
  constructor(folder: string) {
    for (const file of globSync('*.json', { cwd: folder })) {
      const types = JSON.parse(readFileSync(join(folder, file), 'utf8')) as AzureType[];
      const resolve = ({ $ref }: { $ref: string }): AzureType => types[Number($ref.slice(2))]!;
      for (const { $type, name, body, writableScopes = 0 } of types) {
        if ($type !== 'ResourceType' || body === undefined) continue;
        this.#types.set(name!.toLowerCase(), { name: name!, writableScopes, body: resolve(body), resolve });
      }
    }
  }

  /** @param reference `Microsoft.X/y@2025-01-01` */
  find(reference: string): ResourceType | undefined {
    return this.#types.get(reference.toLowerCase());
  }

  /** The versions that are known of a type. */
  versionsOf(type: string): string[] {
    const start = `${type.toLowerCase()}@`;
    return [...this.#types.keys()]
      .filter((one) => one.startsWith(start))
      .map((one) => one.slice(start.length));
  }
}

/** The resource types beside the checkout; undefined where they are absent. */
export function sharedResourceTypes(shared: string): ResourceTypes | undefined {
  const folder = join(shared, 'bicep-types');
  return existsSync(folder) ? new ResourceTypes(folder) : undefined;
}

/** The properties of an object type; those of all its forms if it has several. */
export function propertiesOf(
  type: AzureType,
  resolve: ResourceType['resolve'],
): Record<string, AzureProperty> {
  if (type.$type === 'ObjectType') return type.properties ?? {};
  if (type.$type !== 'DiscriminatedObjectType') return {};
  const forms = Object.values(type.elements as Record<string, { $ref: string }>).map(resolve);
  return Object.assign({}, type.baseProperties, ...forms.map((form) => form.properties ?? {}));
}

/**
 * What a deployment gives for a property of a resource.
 * @returns undefined if the type has no such property
 */
export function runtimeValue(
  type: AzureType,
  path: string[],
  resolve: ResourceType['resolve'],
  from: string,
): Value {
  const [name, ...rest] = path;
  if (name === undefined) return valueOfType(type, from, resolve);
  if (type.$type === 'AnyType') return new Known('any', from);
  const property = propertiesOf(type, resolve)[name]?.type ?? type.additionalProperties;
  return property === undefined ? undefined : runtimeValue(resolve(property), rest, resolve, from);
}

function valueOfType(type: AzureType, from: string, resolve: ResourceType['resolve']): Value {
  switch (type.$type) {
    case 'StringType':
    case 'StringLiteralType':
      return runtimeText(from);
    case 'UnionType':
      return valueOfType(resolve((type.elements as { $ref: string }[])[0]!), from, resolve);
    case 'IntegerType':
      return new Known('int', from);
    case 'BooleanType':
      return new Known('bool', from);
    case 'ArrayType':
      return new Known('array', from);
    case 'AnyType':
      return new Known('any', from);
    default:
      return new Known('object', from);
  }
}
