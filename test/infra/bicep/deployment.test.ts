import { describe, expect, it } from 'vitest';
import { sharedAbsent, sharedPath } from '../../shared.ts';
import { type Deployment, deploy } from './deployment.ts';
import { ResourceTypes } from './resource-types.ts';
import type { Value } from './values.ts';

const folder = sharedPath('bicep-types');
const types = folder === undefined ? undefined : new ResourceTypes(folder);

/** Deploys a main file to a resource group, or with the files it names. */
function run(
  main: string,
  {
    files = {},
    parameters = {},
  }: { files?: Record<string, string>; parameters?: Record<string, Value> } = {},
): Deployment {
  const all: Record<string, string> = { 'main.bicep': main, ...files };
  const read = (path: string) => {
    if (all[path] === undefined) throw new Error('absent');
    return all[path];
  };
  return deploy({ read, main: 'main.bicep', parameters, types });
}
const faultsOf = (...args: Parameters<typeof run>): string[] => run(...args).faults;
const outputOf = (text: string): unknown => {
  const { outputs, faults } = run(`output x object = { value: ${text} }`);
  expect(faults).toEqual([]);
  return (outputs['x'] as { value: unknown }).value;
};

const account = (entries = '', symbol = 'a') => `
resource ${symbol} 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'account${symbol}'
  location: 'westeurope'
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  ${entries}
}
`;

describe('values', () => {
  it.each<[string, unknown]>([
    ["'a${1}${true}'", 'a1true'],
    ['(512 - 300) * 10 / 21', 100],
    ['7 % 4 - -1', 4],
    ["empty('') && !empty([1])", true],
    ["true ? 'a' : null.b", 'a'],
    ['union({ a: 1, c: { d: 1 } }, { b: 2, c: { e: 2 } })', { a: 1, b: 2, c: { d: 1, e: 2 } }],
    ['concat([1], [2])', [1, 2]],
    ["{ a: { b: 'c' } }.a.b", 'c'],
    ["{ a: 1 }.?b ?? 'none'", 'none'],
    ['[for (x, i) in [3, 4]: x * i]', [0, 4]],
    ["map(items({ b: 1, a: 2 }), x => '${x.key}=${x.value}')", ['a=2', 'b=1']],
    ["cidrSubnet('10.43.0.0/24', 26, 1)", '10.43.0.64/26'],
    ["'A' =~ 'a'", true],
    ['string(5)', '5'],
    ['environment().suffixes.storage', 'core.windows.net'],
  ])('%s is evaluated', (text, value) => {
    expect(outputOf(text)).toEqual(value);
  });

  it('a unique name depends on all its parts, and on nothing else', () => {
    const name = outputOf("uniqueString('a', 'b')");
    expect(name).toMatch(/^[a-z]{13}$/);
    expect(outputOf("uniqueString('a', 'b')")).toBe(name);
    expect(outputOf("uniqueString('a', 'c')")).not.toBe(name);
    expect(outputOf("guid('a')")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it.each([
    ["'a' + 1", 'Expected a number'],
    ["!'a'", 'Expected true or false'],
    ["'a' ? 1 : 2", 'Expected true or false'],
    ['{ a: 1 }.b', 'There is no property b'],
    ['[1][1]', 'The array has no item 1'],
    ["'a'.b", 'string has no property b'],
    ["'${[]}'", 'Expected text, found array'],
    ["cidrSubnet('10.43.0.0/27', 26, 0)", 'needs a range that holds a /26'],
    ["concat('a', [1])", 'needs a string'],
    ["resourceId('A/b/c', 'd')", 'needs 2 names for A/b/c'],
    ['uniqueString()', 'cannot take 0 arguments'],
    ['uniqeString(1)', 'Unknown function uniqeString'],
    ['x', 'x is not declared'],
  ])('%s fails', (text, message) => {
    expect(faultsOf(`var a = ${text}\noutput b object = { a: a }`).join('\n')).toContain(message);
  });
});

it('the content of a file is read from the folder of the one that names it', () => {
  const files = {
    'sub/m.bicep':
      "output a string = loadTextContent('a.txt')\noutput b object = loadJsonContent('../b.json')",
    'sub/a.txt': 'text',
    'b.json': '{ "c": 1 }',
  };
  const main =
    "module m 'sub/m.bicep' = { name: 'm' }\noutput a string = m.outputs.a\noutput b object = m.outputs.b";
  expect(run(main, { files })).toMatchObject({ faults: [], outputs: { a: 'text', b: { c: 1 } } });
  const missing = run("output a string = loadTextContent('a.txt')");
  expect(missing.faults.join('\n')).toContain('loadTextContent needs a file that exists, not a.txt');
});

describe('a file', () => {
  it.each([
    ['param a string\nvar a = 1\noutput b string = a', 'a is declared twice'],
    ["output b string = 'x'\noutput b string = 'y'", 'The output b is declared twice'],
    ["param a string = 'x'", 'a is not used'],
    ['var a = 1', 'a is not used'],
    ["resource a 'Microsoft.Storage/storageAccounts@2025-06-01' existing = { name: 'x' }", 'a is not used'],
    ['var a = b\nvar b = a\noutput c string = a', 'refers to itself'],
    ['@minLength(3)\nparam a int = 1\noutput b int = a', '@minLength does not fit a'],
    ["@alowed(['x'])\nparam a string = 'x'\noutput b string = a", 'Unknown decorator @alowed'],
    ["@description('x')\n@description('y')\nparam a int = 1\noutput b int = a", 'given twice'],
    ['@description()\nparam a int = 1\noutput b int = a', '@description takes 1 arguments'],
    ["@allowed(['x'])\nparam a string = 'z'\noutput b string = a", 'a breaks @allowed'],
    ["@maxLength(2)\nparam a string = 'xyz'\noutput b string = a", 'a breaks @maxLength'],
    ['@minValue(2)\nparam a int = 1\noutput b int = a', 'a breaks @minValue'],
    ['param a string = 1\noutput b string = a', 'a must be string, not int'],
    ['output b string = 1', 'b must be string, not int'],
    ['param a string\noutput b string = a', 'The parameter a is missing'],
    ['var a = utcNow()\noutput b string = a', 'utcNow can only be the default of a parameter'],
    ["targetScope = 'subscription'\noutput b string = resourceGroup().name", 'cannot be called at the scope'],
    [`${account('dependsOn: [b]')}var b = 1\noutput c int = b`, 'dependsOn names a resource or a module'],
    [`${account("dependsOn: 'a'")}`, 'dependsOn must be an array'],
    [`${account()}${account('', 'b').replace('accountb', '${a.properties.creationTime}')}`, 'not known when'],
  ])('%# is checked', (text, message) => {
    expect(faultsOf(text).join('\n')).toContain(message);
  });

  it('uses a name inside a loop or a lambda without declaring it', () => {
    expect(faultsOf("output a array = [for x in ['y']: x]\noutput b array = map([1], x => x)")).toEqual([]);
  });
});

describe('modules', () => {
  const child = "param a string\noutput b string = '${a}!'";
  const call = (entries: string) => `module m 'sub/m.bicep' = {\n name: 'm'\n ${entries}\n}\n`;
  const files = { 'sub/m.bicep': child };

  it('get parameters and give outputs', () => {
    const { outputs, faults } = run(`${call("params: { a: 'x' }")}output c string = m.outputs.b`, { files });
    expect({ outputs, faults }).toEqual({ outputs: { c: 'x!' }, faults: [] });
  });

  it.each([
    [call(''), 'The module m needs the parameter a'],
    [call("params: { a: 'x', z: 1 }"), 'has no parameter z'],
    [call('params: { a: 1 }'), 'a must be string, not int'],
    [`${call("params: { a: 'x' }")}output c string = m.outputs.z`, 'has no output z'],
    [call("params: { a: 'x' }\nparent: 1"), 'm cannot have parent'],
    [call("params: { a: 'x' }").replace('sub/', ''), 'There is no file m.bicep'],
    [`targetScope = 'subscription'\n${call("params: { a: 'x' }")}`, 'The module needs a scope'],
    [call("params: { a: 'x' }\nscope: a") + account(), 'The scope of the module is not a resource group'],
    [
      `param p bool = false\n${call("params: { a: 'x' }").replace('= {', '= if (p) {')}output c string = m.outputs.b`,
      'used although it is not deployed',
    ],
  ])('%# are checked', (text, message) => {
    expect(faultsOf(text, { files }).join('\n')).toContain(message);
  });
});

describe.skipIf(types === undefined)(types === undefined ? sharedAbsent : 'resources', () => {
  it('with right properties have no faults', () => {
    const text = `${account('properties: { allowSharedKeyAccess: false }')}
resource s 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = { parent: a, name: 'default' }
resource c 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for one in ['x1', 'x2']: { parent: s, name: 'container-\${one}' }
]
output id string = c[1].id
output blob string = a.properties.primaryEndpoints.blob`;
    const { faults, outputs, resources } = run(text);
    expect(faults).toEqual([]);
    expect(resources).toHaveLength(4);
    expect(outputs['id']).toMatch(
      /providers\/Microsoft\.Storage\/storageAccounts\/accounta\/blobServices\/default\/containers\/container-x2$/,
    );
    expect(outputs['blob']).toBe('«accounta.properties.primaryEndpoints.blob»');
  });

  it.each([
    [account('propertys: {}'), 'a: propertys does not exist'],
    [account('properties: { allowSharedKeyAcess: false }'), 'properties.allowSharedKeyAcess does not exist'],
    [account().replace("kind: 'StorageV2'", ''), 'a: kind is missing'],
    [account("properties: { allowSharedKeyAccess: 'no' }"), "must be true or false, not 'no'"],
    [account("properties: { minimumTlsVersion: 'TLS1_9' }"), "must be one of 'TLS1_0'"],
    [account("properties: { creationTime: 'x' }"), 'properties.creationTime is read-only'],
    [
      account('properties: { accessTier: null }\n').replace("kind: 'StorageV2'", 'kind: null'),
      'kind is missing',
    ],
    [account('tags: { a: 1 }'), 'tags.a must be a string, not 1'],
    [account().replace('2025-06-01', '2019-13-01'), 'is unknown: known versions: 2025-06-01'],
    [account().replace('storageAccounts@', 'storageAcounts@'), 'Azure has no such type'],
    [account().replace('@2025-06-01', ''), 'is not a resource type with its version'],
    [account().replace('accounta', 'Account_A'), 'name must match'],
    [account().replace('accounta', 'a'.repeat(30)), 'must have 3 to 24 characters'],
    [account().replace("name: 'accounta'", ''), 'a has no name'],
    [`${account()}${account('', 'b').replace('accountb', 'accounta')}`, 'b has the same name as a'],
    [`targetScope = 'subscription'\n${account()}`, 'a cannot be deployed at the scope subscription'],
    [`${account()}output x string = a.properties.primaryEndpoint.blob`, 'has no properties.primaryEndpoint'],
    [
      `${account()}resource s 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = { name: 'default' }`,
      's needs 2 names, or a parent',
    ],
    [
      `${account()}resource s 'Microsoft.Web/sites/config@2025-03-01' = { parent: a, name: 'appsettings' }`,
      'The parent of s must be Microsoft.Web/sites',
    ],
    [`${account()}${account('scope: a', 'b')}`, 'b cannot be deployed at the scope extension'],
    [
      `param p bool = false\n${account().replace('= {', '= if (p) {')}output x string = a.id`,
      'used although it is not deployed',
    ],
    [
      `resource r 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = { name: 'x/sftp' }`,
      'r: name must be one of ftp, scm',
    ],
  ])('%# are checked', (text, message) => {
    expect(faultsOf(text).join('\n')).toContain(message);
  });
});
