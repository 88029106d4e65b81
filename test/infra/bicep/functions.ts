import { createHash } from 'node:crypto';
import { isObject, LambdaValue, runtimeText, typeOf, type Value } from './values.ts';

/** A function that returns no value here could not be evaluated with these arguments. */
export class WrongArgument extends Error {}

interface BicepFunction {
  /** The least and the largest number of arguments. */
  args: [number, number];
  /** The target scopes in which it can be called; all if absent. */
  scopes?: string[];
  call: (args: Value[], context: FunctionContext) => Value;
}

/** Where a call is evaluated. */
export interface FunctionContext {
  resourceGroup: string;
  /** The text of a file by its path from the file of the call. @throws if there is none */
  readFile(path: string): string;
}

export const subscriptionId = '00000000-0000-4000-8000-000000000001';
export const tenantId = '00000000-0000-4000-8000-000000000002';
const subscription = { id: `/subscriptions/${subscriptionId}`, subscriptionId, tenantId };

const text = (value: Value): string => {
  if (typeof value === 'string') return value;
  throw new WrongArgument(`a string, not ${typeOf(value)}`);
};
const list = (value: Value): Value[] => {
  if (Array.isArray(value)) return value;
  throw new WrongArgument(`an array, not ${typeOf(value)}`);
};
const lambda = (value: Value): LambdaValue => {
  if (value instanceof LambdaValue) return value;
  throw new WrongArgument('a lambda');
};
function fileText(path: Value, { readFile }: FunctionContext): string {
  try {
    return readFile(text(path));
  } catch {
    throw new WrongArgument(`a file that exists, not ${path}`);
  }
}
const digest = (args: Value[]): string =>
  createHash('sha256')
    .update(args.map((one) => text(one)).join('-'))
    .digest('hex');
const guid = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
/** `Microsoft.X/a/b` and the names of a and b give `Microsoft.X/a/NAME/b/NAME`. */
export function resourcePath(type: string, names: string[]): string {
  const [provider, ...types] = type.split('/');
  if (types.length !== names.length) {
    throw new WrongArgument(`${types.length} names for ${type}, not ${names.length}`);
  }
  return [provider, ...types.flatMap((one, i) => [one, names[i]])].join('/');
}
const isEmpty = (value: Value): boolean => {
  if (value === null || value === undefined) return true;
  if (typeof value === 'string' || Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  throw new WrongArgument(`something with a length, not ${typeOf(value)}`);
};
function union(args: Value[]): Value {
  if (args.every(Array.isArray)) return [...new Set(args.flatMap(list))];
  const merged: { [name: string]: Value } = {};
  for (const one of args) {
    if (!isObject(one)) throw new WrongArgument(`objects, not ${typeOf(one)}`);
    for (const [name, value] of Object.entries(one)) {
      const before = merged[name];
      merged[name] = isObject(before) && isObject(value) ? union([before, value]) : value;
    }
  }
  return merged;
}
/** learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions-cidr */
function cidrSubnet(range: string, size: number, index: number): string {
  const [address = '', prefix] = range.split('/');
  const bits = address.split('.').map(Number);
  if (bits.length !== 4 || bits.some((one) => !(one >= 0 && one <= 255)) || !(Number(prefix) <= size)) {
    throw new WrongArgument(`a range that holds a /${size}, not ${range}`);
  }
  if (index >= 2 ** (size - Number(prefix))) throw new WrongArgument(`an index that ${range} has`);
  const first = bits.reduce((sum, one) => sum * 256 + one, 0) + index * 2 ** (32 - size);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${size}`;
}

/** The functions that are understood: learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions */
export const functions: Record<string, BicepFunction> = {
  /** Tells the compiler to forget a type. */
  any: { args: [1, 1], call: ([value]) => value },
  array: { args: [1, 1], call: ([value]) => (Array.isArray(value) ? value : [value]) },
  bool: { args: [1, 1], call: ([value]) => text(value).toLowerCase() === 'true' },
  cidrSubnet: {
    args: [3, 3],
    call: ([range, size, index]) => cidrSubnet(text(range), Number(size), Number(index)),
  },
  concat: {
    args: [1, 99],
    call: (args) => (args.every(Array.isArray) ? args.flatMap(list) : args.map(text).join('')),
  },
  contains: {
    args: [2, 2],
    call: ([where, what]) =>
      isObject(where)
        ? text(what) in where
        : Array.isArray(where)
          ? where.includes(what)
          : text(where).includes(text(what)),
  },
  deployer: {
    args: [0, 0],
    call: () => ({ objectId: runtimeText('deployer().objectId'), tenantId }),
  },
  empty: { args: [1, 1], call: ([value]) => isEmpty(value) },
  endsWith: { args: [2, 2], call: ([where, end]) => text(where).endsWith(text(end)) },
  environment: {
    args: [0, 0],
    call: () => ({
      name: 'AzureCloud',
      suffixes: { storage: 'core.windows.net', keyvaultDns: '.vault.azure.net' },
      authentication: { loginEndpoint: 'https://login.microsoftonline.com/' },
    }),
  },
  filter: { args: [2, 2], call: ([items, by]) => list(items).filter((one) => lambda(by).call([one])) },
  first: { args: [1, 1], call: ([value]) => (Array.isArray(value) ? value[0] : text(value).slice(0, 1)) },
  flatten: { args: [1, 1], call: ([value]) => list(value).flatMap(list) },
  format: {
    args: [2, 99],
    call: ([pattern, ...args]) => text(pattern).replace(/\{(\d+)\}/g, (_, i) => String(args[Number(i)])),
  },
  guid: { args: [1, 99], call: (args) => guid(digest(args)) },
  int: { args: [1, 1], call: ([value]) => Number(value) },
  items: {
    args: [1, 1],
    call: ([value]) =>
      Object.entries(value as object)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, one]) => ({ key, value: one })),
  },
  join: { args: [2, 2], call: ([items, between]) => list(items).map(text).join(text(between)) },
  json: { args: [1, 1], call: ([value]) => JSON.parse(text(value)) },
  last: { args: [1, 1], call: ([value]) => (Array.isArray(value) ? value.at(-1) : text(value).slice(-1)) },
  length: {
    args: [1, 1],
    call: ([value]) => (isObject(value) ? Object.keys(value).length : (value as string | Value[]).length),
  },
  loadJsonContent: { args: [1, 1], call: ([path], context) => JSON.parse(fileText(path, context)) },
  loadTextContent: { args: [1, 1], call: ([path], context) => fileText(path, context) },
  map: {
    args: [2, 2],
    call: ([items, by]) => list(items).map((one, i) => lambda(by).call([one, i])),
  },
  max: { args: [1, 99], call: (args) => Math.max(...args.flat().map(Number)) },
  min: { args: [1, 99], call: (args) => Math.min(...args.flat().map(Number)) },
  newGuid: { args: [0, 0], call: () => runtimeText('newGuid()') },
  range: {
    args: [2, 2],
    call: ([from, count]) => [...Array(Number(count)).keys()].map((i) => i + Number(from)),
  },
  replace: { args: [3, 3], call: ([where, what, by]) => text(where).replaceAll(text(what), text(by)) },
  resourceGroup: {
    args: [0, 2],
    scopes: ['resourceGroup'],
    call: (_, { resourceGroup }) => ({
      id: `${subscription.id}/resourceGroups/${resourceGroup}`,
      name: resourceGroup,
      location: runtimeText('resourceGroup().location'),
    }),
  },
  resourceId: {
    args: [2, 99],
    scopes: ['resourceGroup'],
    call: ([type, ...names], { resourceGroup }) =>
      `${subscription.id}/resourceGroups/${resourceGroup}/providers/${resourcePath(text(type), names.map(text))}`,
  },
  split: { args: [2, 2], call: ([value, at]) => text(value).split(text(at)) },
  startsWith: { args: [2, 2], call: ([where, start]) => text(where).startsWith(text(start)) },
  string: {
    args: [1, 1],
    call: ([value]) => (typeof value === 'string' ? value : JSON.stringify(value)),
  },
  subscription: { args: [0, 1], call: () => subscription },
  subscriptionResourceId: {
    args: [2, 99],
    call: ([type, ...names]) => `${subscription.id}/providers/${resourcePath(text(type), names.map(text))}`,
  },
  substring: {
    args: [2, 3],
    call: ([value, from, count]) => text(value).substr(Number(from), count as number),
  },
  take: { args: [2, 2], call: ([value, count]) => (value as string).slice(0, Number(count)) },
  tenant: { args: [0, 0], call: () => ({ tenantId }) },
  toLower: { args: [1, 1], call: ([value]) => text(value).toLowerCase() },
  toUpper: { args: [1, 1], call: ([value]) => text(value).toUpperCase() },
  trim: { args: [1, 1], call: ([value]) => text(value).trim() },
  union: { args: [2, 99], call: (args) => union(args) },
  uniqueString: {
    args: [1, 99],
    call: (args) =>
      digest(args)
        .replace(/\d/g, (digit) => 'ghijklmnop'[Number(digit)]!)
        .slice(0, 13),
  },
  utcNow: { args: [0, 1], call: () => runtimeText('utcNow()') },
};

/** Decorators with the number of their arguments. */
export const decorators: Record<string, number> = {
  allowed: 1,
  description: 1,
  maxLength: 1,
  maxValue: 1,
  metadata: 1,
  minLength: 1,
  minValue: 1,
  secure: 0,
  batchSize: 1,
};
