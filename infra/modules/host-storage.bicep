// The account that the Functions host and runs in progress use: queues, work documents, keys and the package.
// No versioning and no soft delete: a run writes and deletes hundreds of blobs that nobody restores.
@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the account.')
param location string

@description('Tags of the account.')
param tags object

@description('The container for runs in progress and for the journal of campaign metrics, and that of each further environment.')
param workContainers array

@description('Whether the account is reached through private endpoints only.')
param isPrivate bool

var packageContainerName = 'app-package'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
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
    isVersioningEnabled: false
    deleteRetentionPolicy: { enabled: false }
    containerDeleteRetentionPolicy: { enabled: false }
  }
}

resource work 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for container in workContainers: {
    parent: blobs
    name: container
    properties: { publicAccess: 'None' }
  }
]

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainerName
  properties: { publicAccess: 'None' }
}

// A safety net behind the app's own clean-up, which keeps the newest 100 runs. It deletes nothing but what runs left:
// metrics/ holds accepted records until they are in Dataverse, catalogs/, choices/ and stored-ids/ are in use however old
// they are, and the host reads the package anew whenever an instance starts.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for (container, index) in workContainers: {
          name: index == 0 ? 'delete-old-runs' : 'delete-old-runs-of-${container}'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${container}/runs/']
            }
            actions: {
              baseBlob: {
                delete: { daysAfterModificationGreaterThan: 90 }
              }
            }
          }
        }
      ]
    }
  }
  dependsOn: [work]
}

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output packageContainer string = package.name
