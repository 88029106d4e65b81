// Everything that the app needs in Azure: `azd up` deploys this file. docs/deployment.md explains it.
// All names come from the subscription, the environment's name and the location, so a second deployment changes nothing.
targetScope = 'subscription'

@description('The name of the azd environment. It tells several deployments in one subscription apart.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of all resources. It must offer the Flex Consumption plan.')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('The Dataverse environment, such as https://contoso.crm.dynamics.com.')
@minLength(12)
@maxLength(200)
param dataverseUrl string

@description('When a sync starts: an NCRONTAB expression in UTC, with seconds.')
@minLength(11)
@maxLength(100)
param schedule string = '0 */15 * * * *'

@description('The list of tables: a file in the deployment package, relative to host.json.')
@minLength(1)
@maxLength(200)
param entitiesFile string = 'entities.json'

@description('A file with further Dataverse environments: in the deployment package, relative to host.json. Empty: only dataverseUrl is synced.')
@maxLength(200)
param environmentsFile string = ''

@description('The names of the environments in that file, with commas between them.')
@maxLength(1000)
param environmentNames string = ''

@description('Memory of an instance in MB. It decides how large the database can be: 512 is for about 100 MB, 2048 for 800 MB, 4096 for 1.8 GB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Instances that always run for HTTP requests, so that the first one does not wait. They cost money all the time.')
@minValue(0)
@maxValue(20)
param alwaysReadyInstances int = 0

@description('The most instances that each group of functions may use at the same time.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Where alerts are sent. Empty: alerts are shown in Azure only.')
@maxLength(254)
param alertEmail string = ''

@description('Address of the runbook that alerts lead to, such as that of docs/runbook.md in your repository.')
@minLength(1)
@maxLength(500)
param runbookUrl string = 'docs/runbook.md'

@description('Object id of the Entra group that may read the database. Empty: nobody but the app.')
@maxLength(36)
param readersGroupId string = ''

@description('How the account of the database is replicated.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param databaseRedundancy string = 'Standard_LRS'

@description('Days that replaced and deleted versions of the database can be restored.')
@minValue(1)
@maxValue(365)
param databaseRetentionDays int = 14

@description('Days in which nobody can delete a version of the database; at most databaseRetentionDays. 0: off. It can be chosen for a new deployment only.')
@minValue(0)
@maxValue(365)
param databaseImmutabilityDays int = 0

@description('Days that logs and telemetry are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Put the app into a virtual network and close storage to the public network. Readers then need a way into that network.')
param privateNetwork bool = false

@description('The addresses of the virtual network: a range of at least /25.')
@minLength(9)
@maxLength(18)
param networkAddressPrefix string = '10.43.0.0/24'

@description('Client id of an app registration that signs in to Dataverse with a secret from a key vault. Empty: the managed identity signs in.')
@maxLength(36)
param clientSecretApplicationId string = ''

@description('The tenant of that app registration. Empty: the tenant of the subscription.')
@maxLength(36)
param clientSecretTenantId string = ''

@description('Client id of an app registration that people sign in with to see pages. Empty: the function key opens them.')
@maxLength(36)
param signInClientId string = ''

@description('Further app settings by name, for example { "SYNC_VERIFY_HOURS": "12" }. Settings that are made in the portal are lost with the next deployment.')
@secure()
param extraSettings object = {}

var tags = { 'azd-env-name': environmentName }
var token = uniqueString(subscription().id, environmentName, location)
var usesClientSecret = !empty(clientSecretApplicationId)

// Names that the code knows, too: src/config/settings.ts.
var workContainer = 'sync-work'
var databaseContainer = 'dataverse'
var databaseName = 'dataverse.db'

// Each further environment has containers with its name at the end: src/config/environments/environment-settings.ts.
var environments = filter(map(split(environmentNames, ','), name => trim(name)), name => !empty(name))
var workContainers = concat([workContainer], map(environments, name => '${workContainer}-${name}'))
var databaseContainers = concat([databaseContainer], map(environments, name => '${databaseContainer}-${name}'))

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-${token}'
    insightsName: 'appi-${token}'
    actionGroupName: 'ag-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    alertEmail: alertEmail
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: 'alert-${token}'
    insightsId: monitoring.outputs.insightsId
    actionGroupId: monitoring.outputs.actionGroupId
    storageAccountIds: [hostStorage.outputs.id, dataStorage.outputs.id]
    schedule: schedule
    runbookUrl: runbookUrl
    environments: environments
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    title: 'Dataverse sync: ${environmentName}'
    environments: environments
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    workContainers: workContainers
    isPrivate: privateNetwork
  }
}

module dataStorage 'modules/data-storage.bicep' = {
  name: 'data-storage'
  scope: group
  params: {
    name: 'stdata${token}'
    location: location
    tags: tags
    redundancy: databaseRedundancy
    databaseContainers: databaseContainers
    retentionDays: databaseRetentionDays
    // Longer than versions are kept, the lifecycle rule could not delete them.
    immutabilityDays: min(databaseImmutabilityDays, databaseRetentionDays)
    workspaceId: monitoring.outputs.workspaceId
    isPrivate: privateNetwork
  }
}

module keyVault 'modules/key-vault.bicep' = if (usesClientSecret) {
  name: 'key-vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    identityPrincipalId: identity.outputs.principalId
    isPrivate: privateNetwork
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    identityPrincipalId: identity.outputs.principalId
    readersGroupId: readersGroupId
    hostStorageName: hostStorage.outputs.name
    dataStorageName: dataStorage.outputs.name
    databaseContainers: databaseContainers
    insightsName: monitoring.outputs.insightsName
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: networkAddressPrefix
  }
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'private-endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    // Azure reads the values of a module also where its condition is false.
    networkId: privateNetwork ? network!.outputs.id : ''
    subnetId: privateNetwork ? network!.outputs.endpointsSubnetId : ''
    hostStorageId: hostStorage.outputs.id
    dataStorageId: dataStorage.outputs.id
    keyVaultId: usesClientSecret ? keyVault!.outputs.id : ''
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostBlobEndpoint: hostStorage.outputs.blobEndpoint
    hostQueueEndpoint: hostStorage.outputs.queueEndpoint
    packageContainer: hostStorage.outputs.packageContainer
    databaseBlobEndpoint: dataStorage.outputs.blobEndpoint
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstanceCount: maximumInstanceCount
    dataverseUrl: dataverseUrl
    schedule: schedule
    entitiesFile: entitiesFile
    environmentsFile: environmentsFile
    workContainer: workContainer
    databaseContainer: databaseContainer
    databaseName: databaseName
    clientSecretApplicationId: clientSecretApplicationId
    clientSecretTenantId: clientSecretTenantId
    clientSecretUri: usesClientSecret ? keyVault!.outputs.clientSecretUri : ''
    signInClientId: signInClientId
    extraSettings: extraSettings
  }
  // The host reads its locks, keys and package with these roles as soon as it starts.
  dependsOn: [roles, privateEndpoints]
}

// azd keeps the outputs in its environment; the hooks read them there.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output AZURE_FUNCTION_APP_URL string = app.outputs.url
output AZURE_KEY_VAULT_NAME string = usesClientSecret ? keyVault!.outputs.name : ''
output DATAVERSE_URL string = dataverseUrl
output DATAVERSE_APPLICATION_ID string = usesClientSecret ? clientSecretApplicationId : identity.outputs.clientId
output SYNC_DATABASE_URL string = '${dataStorage.outputs.blobEndpoint}${databaseContainer}/${databaseName}'
