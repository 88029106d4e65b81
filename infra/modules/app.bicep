// The function app on the Flex Consumption plan, its settings, and optionally the sign-in for pages.
@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of the plan.')
param planName string

@description('Region of the app.')
param location string

@description('Tags of the app.')
param tags object

@description('Resource id of the identity that the app runs as.')
param identityId string

@description('Client id of that identity.')
param identityClientId string

@description('Blob endpoint of the host\'s storage account, with a slash at the end.')
param hostBlobEndpoint string

@description('Queue endpoint of the host\'s storage account, with a slash at the end.')
param hostQueueEndpoint string

@description('The container of the deployment package.')
param packageContainer string

@description('Blob endpoint of the database\'s storage account.')
param databaseBlobEndpoint string

@description('Connection string of Application Insights.')
param insightsConnectionString string

@description('The subnet that the app sends from; none if empty.')
param subnetId string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('Instances that always run for HTTP requests.')
param alwaysReadyInstances int

@description('The most instances of a group of functions.')
param maximumInstanceCount int

@description('The Dataverse environment.')
param dataverseUrl string

@description('When a sync starts.')
param schedule string

@description('The list of tables, relative to host.json.')
param entitiesFile string

@description('The further environments, relative to host.json; none if empty.')
param environmentsFile string

@description('The container for runs in progress.')
param workContainer string

@description('The container that readers use.')
param databaseContainer string

@description('The name of the database blob.')
param databaseName string

@description('Client id of the app registration that signs in to Dataverse with a secret; the identity signs in if empty.')
param clientSecretApplicationId string

@description('Tenant of that app registration; that of the subscription if empty.')
param clientSecretTenantId string

@description('Address of the secret in the key vault.')
param clientSecretUri string

@description('Client id of the app registration that people sign in with; no sign-in if empty.')
param signInClientId string

@description('Further app settings. Secure: their values would stay in the deployment history.')
@secure()
param extraSettings object

// The formula of src/config/available-memory.ts: 512 MB for the rest of the app, and a third of what is left.
// Set from the parameter, because what an instance reports as its memory is not documented.
var cacheMegabytes = min(1024, max(64, (instanceMemoryMB - 512) / 3))

var dataverseSignIn = empty(clientSecretApplicationId)
  ? {
      DATAVERSE_CLIENT_ID: identityClientId
    }
  : {
      DATAVERSE_CLIENT_ID: clientSecretApplicationId
      DATAVERSE_TENANT_ID: empty(clientSecretTenantId) ? subscription().tenantId : clientSecretTenantId
      DATAVERSE_CLIENT_SECRET: '@Microsoft.KeyVault(SecretUri=${clientSecretUri})'
    }

var furtherEnvironments = empty(environmentsFile)
  ? {}
  : {
      SYNC_ENVIRONMENTS_FILE: environmentsFile
    }

// Easy Auth signs in as the app registration with the app's identity instead of a client secret.
var pageSignIn = empty(signInClientId)
  ? {}
  : {
      DASHBOARD_AUTH: 'entra'
      OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
    }

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  // azd finds the app by this tag: the service in azure.yaml.
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // Flex Consumption rejects ftpsState; the policies below keep FTP closed.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
    functionAppConfig: {
      runtime: {
        name: 'node'
        version: '24'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostBlobEndpoint}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyInstances == 0
          ? []
          : [
              {
                name: 'http'
                instanceCount: alwaysReadyInstances
              }
            ]
        // host.json's maxConcurrentRequests does not apply on this plan.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
    }
  }
}

// Deployments use tokens of Entra ID, never the publishing password.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

// docs/configuration.md explains the settings. Those that are not here keep their defaults.
resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsStorage__blobServiceUri: hostBlobEndpoint
      AzureWebJobsStorage__queueServiceUri: hostQueueEndpoint
      APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      DATAVERSE_URL: dataverseUrl
      SYNC_SCHEDULE: schedule
      SYNC_ENTITIES_FILE: entitiesFile
      SYNC_WORK_CONTAINER: workContainer
      SYNC_DATABASE_CONTAINER: databaseContainer
      SYNC_DATABASE_NAME: databaseName
      SYNC_CACHE_MB: string(cacheMegabytes)
      SYNC_DATABASE_STORAGE__blobServiceUri: databaseBlobEndpoint
      SYNC_DATABASE_STORAGE__clientId: identityClientId
    },
    furtherEnvironments,
    dataverseSignIn,
    pageSignIn,
    extraSettings
  )
}

// People sign in before they see a page. Every request gets through, and the app asks for who sent it where it needs that
// (DASHBOARD_AUTH). So every request is handled by Easy Auth, which takes away what a caller claims to be, and one place
// decides which routes need a sign-in. Programs with a function key pass: metrics, health and the deployment's checks.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(signInClientId)) {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: false
      unauthenticatedClientAction: 'AllowAnonymous'
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          openIdIssuer: '${environment().authentication.loginEndpoint}${subscription().tenantId}/v2.0'
          clientId: signInClientId
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        }
        validation: {
          allowedAudiences: [signInClientId, 'api://${signInClientId}']
        }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
  dependsOn: [settings]
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
