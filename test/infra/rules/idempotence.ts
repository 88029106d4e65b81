import { walk } from '../bicep/check-file.ts';
import { plan, type Read, type Rule, variants } from '../infrastructure.ts';

/** Names that must be free in all of Azure. */
const globalNames = ['Microsoft.Storage/storageAccounts', 'Microsoft.Web/sites', 'Microsoft.KeyVault/vaults'];

const withoutRegion = [
  'Microsoft.Network/privateDnsZones',
  'Microsoft.Insights/actionGroups',
  'Microsoft.Insights/metricAlerts',
];

const elsewhere = new WeakMap<Read, Map<string, Set<string>>>();

/** The names of the largest deployment with another value of a parameter. Worked out once for each state of the files. */
function namesElsewhere(read: Read, parameter: string): Set<string> {
  const known = elsewhere.get(read) ?? new Map<string, Set<string>>();
  elsewhere.set(read, known);
  const before = known.get(parameter);
  if (before !== undefined) return before;
  const parameters = { ...variants.at(-1)!.parameters, [parameter]: 'elsewhere' };
  const other = plan({ name: 'other', parameters }, read, undefined);
  const found = new Set(other.resources.map(({ names }) => names[0]!));
  known.set(parameter, found);
  return found;
}

export const idempotenceRules: Record<string, Rule> = {
  'nothing changes with the time or by chance': ({ files }) =>
    [...files].flatMap(([path, { declarations }]) =>
      declarations.flatMap((declaration) => {
        const found: string[] = [];
        if (!('value' in declaration) || declaration.value === undefined) return found;
        walk(declaration.value, new Set(), (inner) => {
          if (inner.kind === 'call' && /^(?:utcNow|newGuid|deployer)$/.test(inner.name))
            found.push(`${path}: ${declaration.name} calls ${inner.name}`);
        });
        return found;
      }),
    ),

  'global names differ between environments and regions': (planned, read) =>
    ['environmentName', 'location'].flatMap((name) => {
      const taken = namesElsewhere(read, name);
      return globalNames
        .flatMap((type) => planned.all(type))
        .filter(({ names }) => taken.has(names[0]!))
        .map(({ names, symbol }) => `${symbol} is called ${names[0]} for another ${name}, too`);
    }),

  'names fit what Azure allows': (planned) => {
    const patterns: Record<string, RegExp> = {
      'Microsoft.Storage/storageAccounts': /^[a-z0-9]{3,24}$/,
      'Microsoft.Web/sites': /^[a-zA-Z0-9-]{2,60}$/,
      'Microsoft.KeyVault/vaults': /^[a-zA-Z](?:[a-zA-Z0-9]|-(?!-)){1,22}[a-zA-Z0-9]$/,
      'Microsoft.OperationalInsights/workspaces': /^[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]$/,
      'Microsoft.Storage/storageAccounts/blobServices/containers':
        /^[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]$/,
      // learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
      'Microsoft.Resources/resourceGroups': /^[\w().-]{0,89}[\w()-]$/,
      'Microsoft.ManagedIdentity/userAssignedIdentities': /^[a-zA-Z0-9][\w-]{2,127}$/,
      'Microsoft.Web/serverfarms': /^[a-zA-Z0-9-]{1,60}$/,
      'Microsoft.Insights/components': /^[\w().-]{0,259}[\w()-]$/,
      'Microsoft.Insights/actionGroups': /^[\w-]{1,260}$/,
      'Microsoft.Insights/scheduledQueryRules': /^[\w-]{1,260}$/,
      'Microsoft.Insights/metricAlerts': /^[\w-]{1,260}$/,
      'Microsoft.Insights/workbooks': /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      'Microsoft.Authorization/roleAssignments': /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      'Microsoft.Network/virtualNetworks': /^[a-zA-Z0-9][\w.-]{0,62}\w$/,
      'Microsoft.Network/privateEndpoints': /^[a-zA-Z0-9][\w.-]{0,62}\w$/,
      'Microsoft.Network/privateDnsZones/virtualNetworkLinks': /^[a-zA-Z0-9][\w.-]{0,78}\w$/,
    };
    return planned.resources
      .filter(({ type, names }) => patterns[type]?.test(names.at(-1)!) === false)
      .map(({ names }) => `${names.at(-1)} is not a valid name`);
  },

  'everything that takes tags has the one of its azd environment': (planned) =>
    planned.resources
      .filter(({ body, isExisting }) => 'location' in body && !isExisting)
      .filter(
        ({ body }) =>
          (body['tags'] as Record<string, string> | undefined)?.['azd-env-name'] !==
          planned.variant.parameters['environmentName'],
      )
      .map(({ symbol }) => `${symbol} has no tag azd-env-name`),

  'everything is in the region of the deployment, or in none': (planned) =>
    planned.resources
      // What extends or belongs to another resource has no region of its own.
      .filter(({ names, scope, isExisting }) => names.length === 1 && scope === undefined && !isExisting)
      .filter(
        ({ type, body }) =>
          body['location'] !==
          (withoutRegion.includes(type) ? 'global' : planned.variant.parameters['location']),
      )
      .map(({ symbol, body }) => `${symbol} is in ${body['location']}`),
};
