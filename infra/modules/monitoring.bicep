// Logs, telemetry and whom alerts notify. Local authentication is off: only identities with a role send and read data.
@description('Name of the Log Analytics workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param insightsName string

@description('Name of the action group.')
param actionGroupName string

@description('Region of the resources.')
param location string

@description('Tags of the resources.')
param tags object

@description('Days that data is kept.')
param retentionDays int

@description('Where alerts are sent; no action group if empty.')
param alertEmail string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true
      // Whoever may read a resource may read its logs.
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'dvsync'
    enabled: true
    emailReceivers: [
      {
        name: 'email'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

output workspaceId string = workspace.id
output insightsId string = insights.id
output insightsName string = insights.name
// It contains no secret while local authentication is off: an instrumentation key alone cannot send data.
output insightsConnectionString string = insights.properties.ConnectionString
output actionGroupId string = empty(alertEmail) ? '' : actionGroup.id
