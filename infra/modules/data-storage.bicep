// The account that readers use: the database, its state and the files of rows. As sensitive as Dataverse itself.
@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the account.')
param location string

@description('Tags of the account.')
param tags object

@description('Replication of the account.')
param redundancy string

@description('The container that readers use, and that of each further environment.')
param databaseContainers array

@description('Days that replaced and deleted blobs can be restored.')
param retentionDays int

@description('Days in which nobody can delete a version; 0: off.')
param immutabilityDays int

@description('The Log Analytics workspace that records who reads and writes.')
param workspaceId string

@description('Whether the account is reached through private endpoints only.')
param isPrivate bool

var isImmutable = immutabilityDays > 0

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      // Lifecycle rules run as a trusted service of Azure.
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: {
      enabled: true
      days: retentionDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: retentionDays
    }
  }
}

resource databases 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for container in databaseContainers: {
    parent: blobs
    name: container
    properties: {
      publicAccess: 'None'
      immutableStorageWithVersioning: isImmutable ? { enabled: true } : null
    }
  }
]

resource immutability 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = [
  for (container, index) in databaseContainers: if (isImmutable) {
    parent: databases[index]
    name: 'default'
    properties: {
      immutabilityPeriodSinceCreationInDays: immutabilityDays
    }
  }
]

// Each commit leaves the previous version. Only versions are deleted, never the current blob. A rule takes ten prefixes at
// most, a policy a hundred rules: learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for (container, index) in databaseContainers: {
          name: index == 0 ? 'delete-old-versions' : 'delete-old-versions-of-${container}'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${container}/']
            }
            actions: {
              version: {
                delete: { daysAfterCreationGreaterThan: retentionDays }
              }
            }
          }
        }
      ]
    }
  }
  dependsOn: [databases]
}

// Who downloaded, replaced or deleted the database: tables StorageBlobLogs and AzureMetrics of the workspace.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageRead'
        enabled: true
      }
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Transaction'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
