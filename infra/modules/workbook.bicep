// A workbook over Application Insights: runs, lag, rows, throttling, failures, cost and campaign metrics.
@description('Region of the workbook.')
param location string

@description('Tags of the workbook.')
param tags object

@description('Resource id of the Application Insights component.')
param insightsId string

@description('Title of the workbook.')
param title string

@description('The names of further environments. With some, the workbook has a list to choose one from.')
param environments array

// The type that a compiler finds in the file lets nobody ask for a property that only some items have.
var workbookContent = any(loadJsonContent('../workbook.json'))

var choice = {
  id: '9d0c6f0e-5b0f-4f55-8a3e-2f7f6a1f4c27'
  version: 'KqlParameterItem/1.0'
  name: 'environment'
  label: 'Environment'
  type: 2
  isRequired: true
  value: '*'
  jsonData: string(map(concat(['*', 'default'], environments), name => {
    value: name
    label: name == '*' ? 'all' : name
  }))
}
// Events and metrics of the first environment do not name it.
var ofChoice = '| where "{environment}" == "*" or coalesce(tostring(customDimensions.environment), "default") == "{environment}"'
var contentWithChoice = union(workbookContent, {
  items: map(workbookContent.items, item => union(item, {
    content: contains(item.content, 'parameters')
      ? { parameters: concat(item.content.parameters, [choice]) }
      : { query: replace(item.content.query, '\n| where name ', '\n${ofChoice}\n| where name ') }
  }))
})

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
    serializedData: empty(environments) ? loadTextContent('../workbook.json') : string(contentWithChoice)
  }
}
