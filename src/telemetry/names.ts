/**
 * The names of everything that the app tells its monitor: events, metrics and spans, with their properties and figures.
 * Code can send no other (`Telemetry` takes its types from here); documentation, alert rules and the workbook are
 * compared with this table by tests.
 *
 * The scheme: events are in the past tense (`RunEnded`); metrics begin with their subject (`sync.`, `campaignMetrics.`)
 * and end with their unit if it is not a count (`Seconds`, `Bytes`). A `table` is the logical name of a table.
 * Dimensions of metrics have few values: never an id.
 */
export const events = {
  RunEnded: {
    when: 'A run is over; `phase` is `complete`, `failed` or `abandoned`; `tables` are those of a narrow run.',
    properties: ['runId', 'phase', 'trigger', 'error', 'tables'],
    figures: [
      ...['seconds', 'entities', 'failed', 'rowsRead', 'requests', 'retries', 'throttled', 'waitedSeconds'],
      ...['wireBytes', 'added', 'updated', 'deleted', 'stagedBytes', 'databaseBytes', 'databaseMaxBytes'],
      ...['danglingReferences', 'filesFetched', 'filesFailed', 'rows', 'ageSeconds', 'counted', 'miscounted'],
      ...['deltaRows', 'modifiedonRows', 'fullRows', 'filteredRows'],
    ],
  },
  RunResumed: {
    when: 'A run made no progress and is resumed.',
    properties: ['runId'],
    figures: ['resumptions'],
  },
  SliceFetched: {
    when: 'A part of a table is read.',
    properties: ['runId', 'round', 'table'],
    figures: [
      ...['rowsRead', 'pages', 'requests', 'retries', 'bytes', 'seconds'],
      ...['throttled', 'waitedSeconds', 'wireBytes'],
    ],
  },
  TableFailed: {
    when: 'A table failed in a run that is over; the run is complete without it. `tables` as in `RunEnded`.',
    properties: ['runId', 'table', 'strategy', 'error', 'tables'],
    figures: ['ageSeconds'],
  },
  DeletesHeldBack: {
    when: 'A run would have deleted more rows of a table than `massDeleteLimit` allows, and deleted none. `tables` as in `RunEnded`.',
    properties: ['runId', 'table', 'tables'],
    figures: ['rows'],
  },
  MirrorStale: {
    when: 'A run of all tables is over, and a table has not been read without an error for more than a day.',
    properties: ['runId', 'table'],
    figures: ['ageSeconds'],
  },
  DatabaseNearLimit: {
    when: 'A run is over, and a database file has more than 80 % of `SYNC_DATABASE_MAX_MB`.',
    properties: ['runId', 'database'],
    figures: ['databaseBytes', 'databaseMaxBytes'],
  },
  DatabaseChecked: {
    when: 'A check of the whole database is complete.',
    properties: ['checkId'],
    figures: ['seconds', 'databaseBytes', 'faults', 'miscounted', 'danglingReferences'],
  },
  DatabaseDamaged: {
    when: 'A check found faults in a database file; `databases` are those with one, `tables` the first tables.',
    properties: ['checkId', 'databases', 'tables', 'error'],
    figures: ['faults'],
  },
  ExportFailed: {
    when: 'Tables could not be written to the landing zone. Sent once, until it works again or fails for another reason; without `table` it is about all of them.',
    properties: ['runId', 'table', 'error'],
    figures: [],
  },
  MessagePoisoned: {
    when: 'A queue message failed five times.',
    properties: ['queue', 'runId', 'table'],
    figures: [],
  },
  CampaignMetricsWritten: {
    when: 'Queued campaign metrics were written to Dataverse, or rejected by it.',
    properties: [],
    figures: ['written', 'refused', 'seconds'],
  },
  CampaignMetricsRejected: {
    when: 'Dataverse rejected queued campaign metrics for good; `poison` is how many such records exist.',
    properties: [],
    figures: ['refused', 'poison'],
  },
  CampaignMetricsDelayed: {
    when: 'Queued campaign metrics cannot be written now; `cause` is `setup` (a person must act) or `outage`.',
    properties: ['cause'],
    figures: ['records', 'failures', 'retryInSeconds', 'oldestSeconds'],
  },
} as const;

export const metrics = {
  'sync.runSeconds': { what: 'From the start of a run to its end', dimensions: ['phase', 'trigger'] },
  'sync.rows': {
    what: 'Rows by what a run did with them; `change` is `read`, `added`, `updated` or `deleted`',
    dimensions: ['table', 'strategy', 'change'],
  },
  'sync.pages': { what: 'Pages read', dimensions: ['table', 'strategy'] },
  'sync.requests': { what: 'Requests to Dataverse', dimensions: ['table', 'strategy'] },
  'sync.retries': { what: 'Requests that were repeated', dimensions: ['table', 'strategy'] },
  'sync.throttled': { what: 'Responses with status 429', dimensions: ['table', 'strategy'] },
  'sync.throttledSeconds': { what: 'Waiting for Dataverse', dimensions: ['table', 'strategy'] },
  'sync.failures': { what: 'Tables that failed in a run', dimensions: ['table', 'strategy'] },
  'sync.lagSeconds': {
    what: 'From the last read of a table without an error to the end of the run',
    dimensions: ['table', 'strategy'],
  },
  'sync.databaseBytes': { what: 'Size of the database', dimensions: [] },
  'sync.changedBytes': { what: 'Uploaded to the database by a run', dimensions: [] },
  'campaignMetrics.received': {
    what: 'Records by what became of them; `outcome` is `created`, `updated`, `queued` or `refused`',
    dimensions: ['outcome'],
  },
  'campaignMetrics.queued': {
    what: 'Records that wait in the journal, as far as a drain reads at once (1 MiB)',
    dimensions: [],
  },
  'campaignMetrics.oldestQueuedSeconds': { what: 'Age of the oldest of them', dimensions: [] },
  'campaignMetrics.written': {
    what: 'Queued records by what became of them; `outcome` is `written` or `refused`',
    dimensions: ['outcome'],
  },
} as const;

/** The names of spans, with `…` for a table or for what a request is about. */
export const spans = {
  'Sync run': 'The whole run, from its start to its end: the root of its trace',
  'Start run': 'The timer or a request starts the run',
  'Check run': 'The timer or a request finds the run live, and resumes or abandons it if it is stale',
  'planRun …': 'The plan of the first round',
  'fetchEntity …': 'A part of a table is read, by logical name',
  'mergeRound …': 'A round is merged',
  'checkDatabase …': 'A step of a check of the database',
  exportTables: 'Changed tables are written to the landing zone',
  startChanges: 'A run is started for changes in Dataverse',
  'campaignMetricsWrite …': 'Queued campaign metrics are written to Dataverse',
  'Dataverse …': 'A request to Dataverse: method, entity set and what it reads or writes',
  'Blob …': 'A request for a blob: operation and path, with `{id}` in place of ids',
  'Queue …': 'A request to a queue: operation and name of the queue',
} as const;

export type EventName = keyof typeof events;
export type MetricName = keyof typeof metrics;

type Value = string | number | boolean | undefined;
export type EventProperties<Name extends EventName> = Partial<
  Record<(typeof events)[Name]['properties'][number], Value>
>;
export type EventFigures<Name extends EventName> = Partial<
  Record<(typeof events)[Name]['figures'][number], number | undefined>
>;
export type Dimensions<Name extends MetricName> = Record<
  (typeof metrics)[Name]['dimensions'][number],
  string
>;
