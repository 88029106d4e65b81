// Alerts on what the app tells Application Insights, and on its storage. docs/runbook.md has a section for each.
@description('Region of the rules: that of the Application Insights component.')
param location string

@description('Tags of the rules.')
param tags object

@description('Begins the names of the rules.')
param namePrefix string

@description('Resource id of the Application Insights component.')
param insightsId string

@description('Resource id of the action group that is notified. Empty: alerts are shown in Azure only.')
param actionGroupId string

@description('Resource ids of the storage accounts whose availability is watched.')
param storageAccountIds array

@description('When a sync starts: NCRONTAB with five or six fields. It decides how long the mirror may go without a run.')
param schedule string

@description('Address of the runbook, without a fragment.')
param runbookUrl string

@description('The names of further environments. What goes wrong in one is an alert of its own.')
param environments array

var actionGroups = empty(actionGroupId) ? [] : [actionGroupId]

// The last four fields: hour, day, month, day of week.
var fields = filter(split(schedule, ' '), field => !empty(field))
var hours = fields[length(fields) - 4]
var isDaily = join(map(range(1, 3), i => fields[length(fields) - i]), '') == '***'
// Room for three starts, so that one that fails is no alert; for two if they are a day apart. A rule looks back up to six
// hours, one day or two days: learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule
var windows = {
  '*': 'PT3H'
  '*/1': 'PT3H'
  '*/2': 'PT6H'
  '*/3': 'P1D'
  '*/4': 'P1D'
  '*/5': 'P1D'
  '*/6': 'P1D'
  '*/7': 'P1D'
  '*/8': 'P1D'
}
var severalRuns = isDaily ? (windows[?hours] ?? 'P2D') : 'P2D'

// Events reach Application Insights some minutes late, so a rule looks back twice as far as it is from its last look.
// An event that is found twice is one alert: a rule notifies when its condition begins to hold.
var absence = {
  name: 'no-complete-run'
  title: 'No sync run was completed'
  severity: 1
  frequency: 'PT15M'
  window: severalRuns
  operator: 'LessThan'
  threshold: 1
  query: '''
    customEvents
    | where name == "RunEnded" and tostring(customDimensions.phase) == "complete"
    | where isempty(tostring(customDimensions.tables))
  '''
}

var occurrences = [
  {
    name: 'mirror-stale'
    title: 'A table of the mirror is stale'
    severity: 2
    frequency: 'PT1H'
    window: severalRuns
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "MirrorStale"
      | extend table = tostring(customDimensions.table), ageSeconds = todouble(customMeasurements.ageSeconds)
    '''
  }
  {
    name: 'run-failed'
    title: 'A sync run failed or was abandoned'
    severity: 1
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "RunEnded" and tostring(customDimensions.phase) != "complete"
      | extend runId = tostring(customDimensions.runId), error = tostring(customDimensions.error)
    '''
  }
  {
    name: 'table-failing'
    title: 'A table failed in three runs'
    severity: 2
    frequency: 'PT1H'
    window: 'P1D'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "TableFailed" and isempty(tostring(customDimensions.tables))
      | summarize runs = dcount(tostring(customDimensions.runId)) by table = tostring(customDimensions.table)
      | where runs >= 3
    '''
  }
  {
    name: 'deletes-held-back'
    title: 'Deletes were held back'
    severity: 2
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "DeletesHeldBack" and isempty(tostring(customDimensions.tables))
      | extend table = tostring(customDimensions.table), rows = todouble(customMeasurements.rows)
    '''
  }
  {
    name: 'poison-messages'
    title: 'A queue message failed five times'
    severity: 2
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "MessagePoisoned"
      | extend queue = tostring(customDimensions.queue), table = tostring(customDimensions.table)
    '''
  }
  {
    name: 'database-near-limit'
    title: 'The database is near its limit'
    severity: 3
    frequency: 'PT1H'
    window: severalRuns
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "DatabaseNearLimit"
      | extend share = todouble(customMeasurements.databaseBytes) / todouble(customMeasurements.databaseMaxBytes)
    '''
  }
  {
    name: 'database-damaged'
    title: 'The database is damaged'
    severity: 1
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "DatabaseDamaged"
      | extend tables = tostring(customDimensions.tables), error = tostring(customDimensions.error)
    '''
  }
  {
    name: 'metrics-delayed'
    title: 'Campaign metrics wait for a quarter of an hour'
    severity: 2
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "CampaignMetricsDelayed"
      | where tostring(customDimensions.cause) == "setup" or todouble(customMeasurements.oldestSeconds) > 900
    '''
  }
  {
    name: 'metrics-rejected'
    title: 'Campaign metrics were rejected'
    severity: 2
    frequency: 'PT15M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
    query: '''
      customEvents
      | where name == "CampaignMetricsRejected"
      | extend refused = todouble(customMeasurements.refused), poison = todouble(customMeasurements.poison)
    '''
  }
]

// A rule cannot split what is absent, so each further environment has a rule of its own. Its schedule may be its own, too, in a
// file that a template cannot read: the rule looks back as far as Azure can.
var ofFirst = '  | where isempty(tostring(customDimensions.environment))\n'
var absences = empty(environments)
  ? [absence]
  : concat(
      [union(absence, { query: '${absence.query}${ofFirst}' })],
      map(environments, name => union(absence, {
        suffix: '-${name}'
        title: '${absence.title} in ${name}'
        window: 'P2D'
        query: '${absence.query}  | where tostring(customDimensions.environment) == "${name}"\n'
      }))
    )

// An alert that fires must not hide that of another environment: each has its own, which names it. Events of the first
// environment have no such property.
var environmentColumn = '| extend environment = coalesce(tostring(customDimensions.environment), "default")'
var splitOccurrences = empty(environments)
  ? occurrences
  : map(occurrences, rule => union(rule, {
      query: replace(replace(rule.query, 'customEvents', 'customEvents\n${environmentColumn}'), ' by ', ' by environment, ')
      dimensions: [
        {
          name: 'environment'
          operator: 'Include'
          values: ['*']
        }
      ]
    }))

// A schedule that leaves out days is longer than a rule can look back: its absence of runs is no alert.
var rules = map(concat(isDaily ? absences : [], splitOccurrences), rule => union({ suffix: '', dimensions: [] }, rule))

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${namePrefix}-${rule.name}${rule.suffix}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: '${rule.title}. What to do: ${runbookUrl}#${rule.name}'
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      autoMitigate: true
      // A new workspace knows no events before the first one is sent.
      skipQueryValidation: true
      criteria: {
        allOf: [
          union(
            {
              query: rule.query
              timeAggregation: 'Count'
              operator: rule.operator
              threshold: rule.threshold
              failingPeriods: {
                numberOfEvaluationPeriods: 1
                minFailingPeriodsToAlert: 1
              }
            },
            empty(rule.dimensions) ? {} : { dimensions: rule.dimensions }
          )
        ]
      }
      actions: {
        actionGroups: actionGroups
      }
    }
  }
]

resource accountAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for (accountId, index) in storageAccountIds: {
    name: '${namePrefix}-account-unavailable-${index}'
    location: 'global'
    tags: tags
    properties: {
      description: 'A storage account is not available. What to do: ${runbookUrl}#account-unavailable'
      severity: 1
      enabled: true
      scopes: [accountId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'availability'
            metricName: 'Availability'
            metricNamespace: 'Microsoft.Storage/storageAccounts'
            timeAggregation: 'Average'
            operator: 'LessThan'
            threshold: 99
          }
        ]
      }
      actions: empty(actionGroupId) ? [] : [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
]
