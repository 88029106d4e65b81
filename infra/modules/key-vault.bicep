// A vault for the client secret of an app registration, where a managed identity cannot sign in to Dataverse.
// The secret is not part of the deployment: docs/deployment.md says how to set it.
@description('Name of the vault.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the vault.')
param location string

@description('Tags of the vault.')
param tags object

@description('Object id of the identity that reads the secret.')
param identityPrincipalId string

@description('Whether the vault is reached through a private endpoint only.')
param isPrivate bool

var clientSecretName = 'dataverse-client-secret'

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    enablePurgeProtection: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

// Key Vault Secrets User: Azure resolves the reference in DATAVERSE_CLIENT_SECRET as the app's identity (getSecret).
var secretsUser = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '4633458b-17de-408a-b874-0445c86b69e6'
)

resource readSecret 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identityPrincipalId, secretsUser)
  scope: vault
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}

output id string = vault.id
output name string = vault.name
// Without a version: a new secret is used within a day, without a deployment.
output clientSecretUri string = '${vault.properties.vaultUri}secrets/${clientSecretName}'
