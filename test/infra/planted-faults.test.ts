import { describe, expect, it } from 'vitest';
import { sharedAbsent } from '../shared.ts';
import { addedFaults, type Fault } from './added-faults.ts';
import { checkInfrastructure, readInfra, resourceTypes } from './infrastructure.ts';

/** Found whether or not the types of Azure are there. */
const faults: Fault[] = [
  // Security
  [
    'data-storage',
    'allowSharedKeyAccess: false',
    'allowSharedKeyAccess: true',
    'allowSharedKeyAccess must be false',
  ],
  [
    'host-storage',
    'allowSharedKeyAccess: false',
    'allowSharedKeyAccess: isPrivate',
    'allowSharedKeyAccess must be',
  ],
  [
    'data-storage',
    'allowBlobPublicAccess: false',
    'allowBlobPublicAccess: true',
    'allowBlobPublicAccess must be',
  ],
  ['data-storage', "publicAccess: 'None'", "publicAccess: 'Blob'", 'publicAccess must be "None"'],
  ['host-storage', "'TLS1_2'", "'TLS1_0'", 'minimumTlsVersion must be'],
  ['app', "minTlsVersion: '1.2'", "minTlsVersion: '1.0'", 'minTlsVersion must be'],
  ['app', 'httpsOnly: true', 'httpsOnly: false', 'httpsOnly must be true'],
  // Flex Consumption rejects it, whatever its value.
  [
    'app',
    "scmMinTlsVersion: '1.2'",
    "scmMinTlsVersion: '1.2'\n      ftpsState: 'Disabled'",
    'ftpsState must be',
  ],
  ['app', /resource noScmPassword[\s\S]*?\n}\n/, '', 'scm takes passwords'],
  [
    'app',
    "type: 'UserAssignedIdentity'",
    "type: 'StorageAccountConnectionString'",
    'authentication.type must be',
  ],
  ['app', "'AllowAnonymous'", "'RedirectToLoginPage'", 'globalValidation must be'],
  ['app', "DASHBOARD_AUTH: 'entra'", "DASHBOARD_AUTH: 'key'", 'DASHBOARD_AUTH must be entra'],
  ['monitoring', 'DisableLocalAuth: true', 'DisableLocalAuth: false', 'DisableLocalAuth must be true'],
  [
    'key-vault',
    'enableRbacAuthorization: true',
    'enableRbacAuthorization: false',
    'enableRbacAuthorization must be',
  ],
  ['app', '@Microsoft.KeyVault(SecretUri=${clientSecretUri})', 'hunter2', 'DATAVERSE_CLIENT_SECRET must be'],
  [
    'data-storage',
    "isPrivate ? 'Disabled' : 'Enabled'",
    "'Enabled'",
    'publicNetworkAccess must be "Disabled"',
  ],
  // Roles and order
  ['roles', /resource hostQueues[\s\S]*?\n}\n/, '', 'Missing: '],
  ['roles', '974c5e8b-45b9', '8e3af657-a8ff', 'Too much: '],
  ['roles', /(resource writeDatabase[\s\S]*?scope: )databases\[index\]/, '$1dataStorage', 'Too much: '],
  ['roles', "principalType: 'Group'", "principalType: 'User'", 'Missing: '],
  ['roles', 'guid(insights.id, identityPrincipalId, metricsPublisher)', "guid('x')", 'has another name'],
  ['roles', 'guid(hostStorage.id, identityPrincipalId, blobDataOwner)', 'newGuid()', 'newGuid'],
  [
    'main',
    'dependsOn: [roles, privateEndpoints]',
    'dependsOn: [privateEndpoints]',
    'does not wait for roles',
  ],
  [
    'main',
    'dependsOn: [roles, privateEndpoints]',
    'dependsOn: [roles]',
    'does not wait for privateEndpoints',
  ],
  // Storage
  ['data-storage', 'isVersioningEnabled: true', 'isVersioningEnabled: false', 'isVersioningEnabled must be'],
  ['data-storage', /version: \{/, 'baseBlob: {', 'Old versions are not deleted'],
  ['data-storage', "category: 'StorageRead'", "category: 'StorageWrite'", 'logs must be'],
  ['data-storage', 'scope: blobs', 'scope: account', 'no diagnostic settings'],
  ['host-storage', '${container}/runs/', '${container}/', 'A rule deletes sync-work/metrics/'],
  [
    'host-storage',
    "prefixMatch: ['${container}/runs/']",
    "prefixMatch: ['app-package/']",
    'A rule deletes app-package/',
  ],
  // Further environments
  ['data-storage', "['${container}/']", "['${databaseContainers[0]}/']", 'Old versions are not deleted'],
  [
    'data-storage',
    'parent: databases[index]',
    'parent: databases[0]',
    'There are policies: dataverse for 30 days,dataverse for',
  ],
  [
    'data-storage',
    'for container in databaseContainers: {',
    "for container in ['dataverse']: {",
    'has no item',
  ],
  [
    'roles',
    'guid(databases[index].id, identityPrincipalId',
    'guid(databases[0].id, identityPrincipalId',
    'writeDatabase has another name',
  ],
  ['roles', /(resource readDatabase[\s\S]*?scope: )databases\[index\]/, '$1dataStorage', 'Too much: '],
  [
    'main',
    '    databaseContainers: databaseContainers\n    retention',
    '    databaseContainers: [databaseContainer]\n    retention',
    'No container dataverse-sales',
  ],
  ['main', "'${databaseContainer}-${name}'", "'${name}'", 'No container dataverse-north-2'],
  ['main', "'${workContainer}-${name}'", "'${name}'", "The host's account has sync-work,sales"],
  ['main', '=> trim(name)', '=> name', 'is not a valid name'],
  ['main', 'filter(map(split', 'map(map(split', 'containers, not 3'],
  [
    'app',
    'SYNC_ENVIRONMENTS_FILE: environmentsFile',
    'SYNC_ENVIRONMENTS_FILE: entitiesFile',
    'SYNC_ENVIRONMENTS_FILE must be',
  ],
  ['app', 'empty(environmentsFile)', 'false', 'SYNC_ENVIRONMENTS_FILE must be undefined'],
  ['workbook', "'\\n${ofChoice}\\n| where", "'\\n| where", 'The workbook asks for all environments'],
  ['workbook', "concat(['*', 'default'], environments)", "['*', 'default']", 'a wrong list of environments'],
  ['workbook', 'empty(environments) ?', 'false ?', 'properties.serializedData must be'],
  ['alerts', "{ query: '${absence.query}${ofFirst}' }", '{}', 'asks for the runs of others'],
  ['alerts', ' == "${name}"', ' != "${name}"', 'asks for the runs of others'],
  ['alerts', "' by environment, '", "' by '", 'table-failing mixes environments'],
  ['alerts', "name: 'environment'", "name: 'table'", 'run-failed mixes environments'],
  ['alerts', /\[union\(absence, .*\],/, '[],', 'no-complete-run-sales asks for the runs of others'],
  // Settings and sizes
  ['app', 'SYNC_SCHEDULE:', 'SYNC_SCHEDUL:', 'Nothing reads SYNC_SCHEDUL'],
  ['app', /^.*DATAVERSE_URL: dataverseUrl\n/m, '', 'DATAVERSE_URL must be'],
  [
    'app',
    'ClientId=${identityClientId};Authorization=AAD',
    'Authorization=AAD',
    'AUTHENTICATION_STRING must be',
  ],
  [
    'app',
    "AzureWebJobsStorage__credential: 'managedidentity'",
    "AzureWebJobsStorage: 'x'",
    'AzureWebJobsStorage',
  ],
  ['app', '- 512) / 3', '- 512) / 2', 'SYNC_CACHE_MB must be'],
  ['main', "'sync-work'", "'sync-works'", 'SYNC_WORK_CONTAINER must be'],
  ['app', "version: '24'", "version: '20'", 'runtime.version must be'],
  ['app', "'azd-service-name': 'app'", "'azd-service-name': 'api'", 'azd-service-name must be'],
  // Alerts and the workbook
  [
    'alerts',
    / {2}\{\n {4}name: 'run-failed'[\s\S]*?\n {2}\}\n/,
    '',
    'There are alerts for no-complete-run,mirror-stale,table',
  ],
  ['alerts', '"MirrorStale"', '"MirrorOld"', 'mirror-stale: the app does not send MirrorOld'],
  ['alerts', 'customDimensions.cause', 'customDimensions.reason', 'the app does not send reason'],
  [
    'alerts',
    'todouble(customMeasurements.ageSeconds)',
    'customMeasurements.ageSeconds',
    'ageSeconds has no type',
  ],
  [
    'alerts',
    "name: 'run-failed'\n    title: 'A sync run failed or was abandoned'\n    severity: 1",
    "name: 'run-failed'\n    title: 'A sync run failed or was abandoned'\n    severity: 4",
    'severity must be 1',
  ],
  [
    'alerts',
    "operator: 'LessThan'\n  threshold: 1",
    "operator: 'LessThan'\n  threshold: 0",
    'the condition is Count LessThan 0',
  ],
  ['alerts', "'*': 'PT3H'", "'*': 'PT15M'", 'no-complete-run looks back 15 minutes'],
  ['alerts', "?? 'P2D') : 'P2D'", "?? 'PT12H') : 'P2D'", 'no-complete-run looks back NaN minutes'],
  ['alerts', "window: 'PT30M'", "window: 'PT15M'", 'run-failed looks back 15 minutes, not 30'],
  ['alerts', 'isDaily ? absences : []', 'absences', 'There are alerts for no-complete-run,'],
  ['alerts', 'autoMitigate: true', 'autoMitigate: false', 'autoMitigate must be true'],
  ['alerts', '#${rule.name}', '', 'description must be'],
  ['alerts', "metricName: 'Availability'", "metricName: 'Transactions'", 'allOf must be'],
  [
    'main',
    'actionGroupId: monitoring.outputs.actionGroupId',
    "actionGroupId: ''",
    'actionGroups must be ["/',
  ],
  ['main', ', dataStorage.outputs.id]', ']', 'There are 1 Microsoft.Insights/metricAlerts'],
  [
    'main',
    'insightsId: monitoring.outputs.insightsId',
    'insightsId: monitoring.outputs.workspaceId',
    'scopes must be',
  ],
  ['main', /module alerts [\s\S]*?\n}\n/, '', 'There are alerts for '],
  ['main', /module workbook [\s\S]*?\n}\n/, '', 'There are 0 Microsoft.Insights/workbooks'],
  // Names
  [
    'main',
    "'rg-${environmentName}'",
    "'resources-of-the-mirror-called-${environmentName}'",
    'is not a valid name',
  ],
  [
    'main',
    'uniqueString(subscription().id, environmentName, location)',
    'uniqueString(subscription().id)',
    'is called',
  ],
  ['main', 'environmentName, location)', 'environmentName)', 'for another location, too'],
  ['main', "'sthost${token}'", "'st-host-${token}'", 'is not a valid name'],
  ['network', '  location: location', "  location: location == '' ? 'x' : 'y'", 'network is in y'],
  // Secrets in the deployment history
  [
    'main',
    '@secure()\nparam extraSettings',
    'param extraSettings',
    'main.bicep: extraSettings must be @secure()',
  ],
  ['app', '@secure()\nparam extraSettings', 'param extraSettings', 'app takes a secret as extraSettings'],
  ['main', '@maxLength(254)', '@secure()', 'alertEmail is a secret'],
  ['main', /$/, 'var all = union(extraSettings, tags)\noutput all object = all\n', 'all gives a secret'],
  // Versions that must be kept longer than they are
  ['main', 'min(databaseImmutabilityDays, databaseRetentionDays)', 'databaseImmutabilityDays', 'for 60 days'],
  ['main', 'min(databaseImmutabilityDays, databaseRetentionDays)', 'databaseRetentionDays', 'for 14 days'],
  // What a compiler finds
  ['main', 'isPrivate: privateNetwork', 'private: privateNetwork', 'has no parameter private'],
  ['main', 'insightsName: monitoring.outputs.insightsName', '', 'needs the parameter insightsName'],
  ['main', 'monitoring.outputs.workspaceId', 'monitoring.outputs.workspace', 'has no output workspace'],
  ['main', 'scope: group', '', 'needs a scope'],
  [
    'main',
    "privateNetwork ? network!.outputs.appSubnetId : ''",
    'network!.outputs.appSubnetId',
    'not deployed',
  ],
  ['app', 'empty(subnetId)', 'isEmpty(subnetId)', 'Unknown function isEmpty'],
  ['app', 'serverFarmId: plan.id', 'serverFarmId: pln.id', 'pln is not declared'],
  ['network', 'param name string', 'param name string\nparam size int = 1', 'size is not used'],
  ['app', 'httpsOnly: true', 'httpsOnly: true http', 'Expected ","'],
  ['main', 'param instanceMemoryMB int = 2048', 'param instanceMemoryMB int = 1024', 'breaks @allowed'],
];

/** Found by the types of Azure. */
const typeFaults: Fault[] = [
  ['data-storage', 'supportsHttpsTrafficOnly', 'supportHttpsTrafficOnly', 'does not exist'],
  ['data-storage', '/blobServices@2025-06-01', '/blobServices@2025-06-31', 'is unknown: known versions'],
  ['network', 'addressPrefixes: [addressPrefix]', 'addressPrefixes: addressPrefix', 'must be an array'],
  ['monitoring', 'retentionInDays: retentionDays', "retentionInDays: '30'", 'must be a whole number'],
  ['app', 'reserved: true', "reserved: true, status: 'Ready'", 'is read-only'],
  ['key-vault', "family: 'A'", "family: 'B'", "must be one of 'A'"],
  ['monitoring', 'emailAddress: alertEmail', '', 'emailAddress is missing'],
  ['roles', 'roleDefinitionId: blobDataOwner', '', 'roleDefinitionId is missing'],
  ['identity', 'identity.properties.clientId', 'identity.properties.clientid', 'has no properties.clientid'],
];

const pathOf = (file: string): string => (file === 'main' ? 'main.bicep' : `modules/${file}.bicep`);

function findingsOf([file, from, to]: Fault): string[] {
  const path = pathOf(file);
  const before = readInfra(path);
  const after = before.replace(from, to.replace(/\$(?!1)/g, '$$$$'));
  expect(after, 'the fault changes the file').not.toBe(before);
  return checkInfrastructure((one) => (one === path ? after : readInfra(one)));
}

it('the infrastructure as it is has no faults', () => {
  expect(checkInfrastructure(readInfra)).toEqual([]);
});

describe('a planted fault is found', () => {
  it.each(faults)('in %s: %s → %s', (...fault) => {
    expect(findingsOf(fault).join('\n')).toContain(fault[3]);
  });

  it.each(addedFaults.map((fault) => [fault[3], fault] as const))('that is added: %s', (finding, fault) => {
    expect(findingsOf(fault).join('\n')).toContain(finding);
  });
});

describe.skipIf(resourceTypes === undefined)(
  resourceTypes === undefined ? sharedAbsent : 'a fault against the types of Azure is found',
  () => {
    it.each(typeFaults)('in %s: %s → %s', (...fault) => {
      expect(findingsOf(fault).join('\n')).toContain(fault[3]);
    });
  },
);
