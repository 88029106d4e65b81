// What the app's identity and the readers may do with data, and the call that needs each role.
// Names come from scope, principal and role, so that a second deployment finds the same assignments.
@description('Object id of the app\'s identity.')
param identityPrincipalId string

@description('Object id of the Entra group that reads the database; nobody if empty.')
param readersGroupId string

@description('The account of the Functions host.')
param hostStorageName string

@description('The account of the database.')
param dataStorageName string

@description('The container that readers use, and that of each further environment.')
param databaseContainers array

@description('The Application Insights component.')
param insightsName string

// learn.microsoft.com/azure/role-based-access-control/built-in-roles
var roleDefinitions = 'Microsoft.Authorization/roleDefinitions'
var blobDataOwner = subscriptionResourceId(roleDefinitions, 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b')
var blobDataContributor = subscriptionResourceId(roleDefinitions, 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
var blobDataReader = subscriptionResourceId(roleDefinitions, '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1')
var queueDataContributor = subscriptionResourceId(roleDefinitions, '974c5e8b-45b9-4653-ba55-5f855dd0fb88')
var metricsPublisher = subscriptionResourceId(roleDefinitions, '3913510d-42f4-4e42-8a64-420c390055eb')

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostStorageName
}

resource dataStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: dataStorageName
}

resource dataBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: dataStorage
  name: 'default'
}

resource databases 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = [
  for container in databaseContainers: {
    parent: dataBlobs
    name: container
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

// The Functions host: creates its containers, leases its locks, stores function keys, reads the package. The app: work
// documents, shards and the journal of campaign metrics (Put Blob, Append Block, Lease Blob, Delete Blob).
// The host asks for Owner: learn.microsoft.com/azure/azure-functions/functions-reference, identity-based connections.
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostStorage.id, identityPrincipalId, blobDataOwner)
  scope: hostStorage
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: blobDataOwner
  }
}

// Triggers: Get Messages, Delete Message, Put Message to poison queues. The app: Put Message, Create Queue, and Set Queue
// Metadata on the queue of plans (src/storage/queue-owner.ts), which roles for messages alone do not allow.
resource hostQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostStorage.id, identityPrincipalId, queueDataContributor)
  scope: hostStorage
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: queueDataContributor
  }
}

// The merge: Put Block, Put Block List, Get Blob of the database and its state; files of rows: Put Blob, Delete Blob.
resource writeDatabase 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (container, index) in databaseContainers: {
    name: guid(databases[index].id, identityPrincipalId, blobDataContributor)
    scope: databases[index]
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: blobDataContributor
    }
  }
]

// Events and metrics: POST /v2.1/track with a token, because local authentication is off.
resource sendTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, identityPrincipalId, metricsPublisher)
  scope: insights
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: metricsPublisher
  }
}

// People and programs that read the mirror: Get Blob and List Blobs in the databases' containers, nothing else.
resource readDatabase 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (container, index) in databaseContainers: if (!empty(readersGroupId)) {
    name: guid(databases[index].id, readersGroupId, blobDataReader)
    scope: databases[index]
    properties: {
      principalId: readersGroupId
      principalType: 'Group'
      roleDefinitionId: blobDataReader
    }
  }
]
