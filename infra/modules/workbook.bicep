// A workbook over Application Insights: runs, lag, rows, throttling, failures, cost and campaign metrics.
@description('Region of the workbook.')
param location string

@description('Tags of the workbook.')
param tags object

@description('Resource id of the Application Insights component.')
param insightsId string

@description('Title of the workbook.')
param title string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // The name of a workbook is a GUID.
  name: guid(resourceGroup().id, 'dataverse-sync-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: title
    category: 'workbook'
    sourceId: insightsId
    serializedData: loadTextContent('../workbook.json')
  }
}
