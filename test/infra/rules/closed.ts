import type { Value } from '../bicep/values.ts';
import { environmentsOf, type Planned, type Rule } from '../infrastructure.ts';
import { sectionsOf, watchedForAbsence } from './monitoring.ts';

/** How many resources of each type a deployment has. Another type is a finding. */
function countsOf(planned: Planned): Record<string, number> {
  const has = planned.variant.parameters;
  const isPrivate = Number(has['privateNetwork'] === true);
  const one = (name: string) => Number(has[name] !== undefined);
  const vaults = one('clientSecretApplicationId');
  const further = environmentsOf(planned.variant).length;
  const databases = 1 + further;
  const endpoints = isPrivate * (3 + vaults);
  const zones = isPrivate * (2 + vaults);
  return {
    'Microsoft.Resources/resourceGroups': 1,
    'Microsoft.ManagedIdentity/userAssignedIdentities': 1,
    'Microsoft.OperationalInsights/workspaces': 1,
    'Microsoft.Insights/components': 1,
    'Microsoft.Insights/actionGroups': one('alertEmail'),
    'Microsoft.Insights/scheduledQueryRules':
      sectionsOf(planned).length + (watchedForAbsence(planned) ? further : 0),
    'Microsoft.Insights/metricAlerts': 2,
    'Microsoft.Insights/workbooks': 1,
    'Microsoft.Insights/diagnosticSettings': 1,
    'Microsoft.Storage/storageAccounts': 2,
    'Microsoft.Storage/storageAccounts/blobServices': 2,
    'Microsoft.Storage/storageAccounts/blobServices/containers': 3 + 2 * further,
    'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies':
      one('databaseImmutabilityDays') * databases,
    'Microsoft.Storage/storageAccounts/managementPolicies': 2,
    'Microsoft.KeyVault/vaults': vaults,
    'Microsoft.Authorization/roleAssignments': 3 + vaults + databases * (1 + one('readersGroupId')),
    'Microsoft.Network/virtualNetworks': isPrivate,
    'Microsoft.Network/privateDnsZones': zones,
    'Microsoft.Network/privateDnsZones/virtualNetworkLinks': zones,
    'Microsoft.Network/privateEndpoints': endpoints,
    'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': endpoints,
    'Microsoft.Web/serverfarms': 1,
    'Microsoft.Web/sites': 1,
    'Microsoft.Web/sites/basicPublishingCredentialsPolicies': 2,
    'Microsoft.Web/sites/config': 1 + one('signInClientId'),
  };
}

const tagged = ['location', 'tags.azd-env-name'];
const within = (prefix: string, ...paths: string[]): string[] => paths.map((one) => `${prefix}.${one}`);

/**
 * The properties that resources of a type may have; those of an item of a list end with `[]`. Other rules check their values.
 * The types that are not here are compared as a whole in whole.ts.
 */
export const allowedProperties: Record<string, string[]> = {
  'Microsoft.Resources/resourceGroups': tagged,
  'Microsoft.Insights/scheduledQueryRules': [
    ...[...tagged, 'kind'],
    ...within('properties', 'displayName', 'description', 'severity', 'enabled', 'scopes[]'),
    ...within('properties', 'evaluationFrequency', 'windowSize', 'autoMitigate', 'skipQueryValidation'),
    ...within('properties.criteria.allOf[]', 'query', 'timeAggregation', 'operator', 'threshold'),
    ...within('properties.criteria.allOf[].dimensions[]', 'name', 'operator', 'values[]'),
    ...within('properties.criteria.allOf[].failingPeriods', 'numberOfEvaluationPeriods'),
    ...within('properties.criteria.allOf[].failingPeriods', 'minFailingPeriodsToAlert'),
    'properties.actions.actionGroups[]',
  ],
  'Microsoft.Insights/workbooks': [
    ...[...tagged, 'kind'],
    ...within('properties', 'displayName', 'category', 'sourceId', 'serializedData'),
  ],
  'Microsoft.Insights/diagnosticSettings': [
    'properties.workspaceId',
    ...within('properties.logs[]', 'category', 'enabled'),
    ...within('properties.metrics[]', 'category', 'enabled'),
  ],
  'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies': [
    'properties.immutabilityPeriodSinceCreationInDays',
  ],
  'Microsoft.Storage/storageAccounts/managementPolicies': [
    ...within('properties.policy.rules[]', 'name', 'enabled', 'type'),
    ...within('properties.policy.rules[].definition.filters', 'blobTypes[]', 'prefixMatch[]'),
    ...within(
      'properties.policy.rules[].definition.actions',
      'baseBlob.delete.daysAfterModificationGreaterThan',
      'version.delete.daysAfterCreationGreaterThan',
    ),
  ],
  'Microsoft.Authorization/roleAssignments': within(
    'properties',
    ...['principalId', 'principalType', 'roleDefinitionId'],
  ),
  'Microsoft.Network/virtualNetworks': [
    ...tagged,
    'properties.addressSpace.addressPrefixes[]',
    'properties.subnets[].name',
    ...within('properties.subnets[].properties', 'addressPrefix', 'privateEndpointNetworkPolicies'),
    ...within('properties.subnets[].properties.delegations[]', 'name', 'properties.serviceName'),
  ],
  'Microsoft.Network/privateDnsZones': tagged,
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': [
    ...tagged,
    ...within('properties', 'registrationEnabled', 'virtualNetwork.id'),
  ],
  'Microsoft.Network/privateEndpoints': [
    ...[...tagged, 'properties.subnet.id'],
    'properties.privateLinkServiceConnections[].name',
    ...within(
      'properties.privateLinkServiceConnections[].properties',
      ...['privateLinkServiceId', 'groupIds[]'],
    ),
  ],
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': within(
    'properties.privateDnsZoneConfigs[]',
    ...['name', 'properties.privateDnsZoneId'],
  ),
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies': ['properties.allow'],
  'Microsoft.Web/sites/config': [
    'properties.platform.enabled',
    ...within('properties.globalValidation', 'requireAuthentication', 'unauthenticatedClientAction'),
    ...within('properties', 'httpSettings.requireHttps', 'login.tokenStore.enabled'),
    'properties.identityProviders.azureActiveDirectory.enabled',
    ...within(
      'properties.identityProviders.azureActiveDirectory',
      ...within('registration', 'openIdIssuer', 'clientId', 'clientSecretSettingName'),
      'validation.allowedAudiences[]',
    ),
  ],
};

export const closedRules: Record<string, Rule> = {
  'there are no resources but these': (planned) => {
    const wanted = countsOf(planned);
    const types = planned.resources.filter(({ isExisting }) => !isExisting).map(({ type }) => type);
    return [...new Set([...Object.keys(wanted), ...types])].flatMap((type) => {
      const count = types.filter((one) => one === type).length;
      return count === (wanted[type] ?? 0) ? [] : [`There are ${count} ${type}, not ${wanted[type] ?? 0}`];
    });
  },

  'resources have no properties but these': (planned) =>
    planned.resources.flatMap(({ type, names, module, symbol, body, isExisting }) => {
      const allowed = allowedProperties[type];
      // App settings have a rule of their own for their names and values.
      if (isExisting || allowed === undefined || names[1] === 'appsettings') return [];
      return [...new Set(pathsOf(body))]
        .filter((path) => !allowed.includes(path))
        .map((path) => `${module}.${symbol} must not have ${path}`);
    }),
};

/** The paths of all values that are no objects or lists, and of empty ones. */
function pathsOf(value: Value, path = ''): string[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap((one) => pathsOf(one, `${path}[]`));
  const entries = typeof value === 'object' ? Object.entries(value as Record<string, Value>) : [];
  if (entries.length === 0) return [path];
  return entries.flatMap(([name, one]) => pathsOf(one, path === '' ? name : `${path}.${name}`));
}
