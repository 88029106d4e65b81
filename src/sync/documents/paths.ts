/** The names of all documents in the work container. */
export const paths = {
  active: 'active.json',
  /** What runs were asked to read again that ended before they noted it in the state; see run/kept-reread.ts. */
  keptReread: 'reread.json',
  /** What went wrong with which table last; see history/table-faults.ts. */
  faults: 'faults.json',
  /** Which tables have changed in Dataverse; see changes/pending-changes.ts. */
  changesFolder: 'changes/',
  changed: (table: string) => `changes/${table}.json`,
  /** No table has this name. */
  allChanged: 'changes/-all.json',
  /** Which message starts a run for them; see changes/wake-up.ts. */
  wakeUp: 'changes.json',
  /** Which run was started last for changes; see changes/next-start.ts. */
  lastChanges: 'last-changes.json',
  /** The latest check of the mirror; see check/check-document.ts. */
  check: 'check.json',
  checkFolder: 'check/',
  /** What a step of a check passes on that is too large for its document. */
  checkpoint: (checkId: string, step: number, attempt: string) => `check/${checkId}/${step}-${attempt}`,
  /** How far the tables are exported to the lake; see export/export-document.ts. */
  export: 'export.json',
  exportedTable: (table: string) => `export/${table}.json`,
  catalog: (digest: string) => `catalogs/${digest}.json`,
  choices: (digest: string) => `choices/${digest}.json`,
  storedIds: (digest: string) => `stored-ids/${digest}.json`,
  /** Folders of documents that are named by a digest of their content. Earlier versions wrote to `known-ids/`. */
  digestFolders: ['catalogs/', 'choices/', 'stored-ids/', 'known-ids/'],
  run: (runId: string) => `runs/${runId}/run.json`,
  runFolder: (runId: string) => `runs/${runId}/`,
  roundsFolder: (runId: string) => `runs/${runId}/rounds/`,
  roundFolder: (runId: string, round: number) => `runs/${runId}/rounds/${round}/`,
  /** Exists once the planning has begun, so that a message lost before that is told from a planning that takes time. */
  planning: (runId: string) => `runs/${runId}/rounds/planning.json`,
  /** The latest error of the planning, for the poison handler. */
  planError: (runId: string) => `runs/${runId}/rounds/plan-error.json`,
  plan: (runId: string, round: number) => `runs/${runId}/rounds/${round}/plan.json`,
  slice: (runId: string, round: number, entity: string, slice: number) =>
    `runs/${runId}/rounds/${round}/${entity}/slices/${slice}.json`,
  shard: (runId: string, round: number, entity: string, slice: number, attempt: string) =>
    `runs/${runId}/rounds/${round}/${entity}/shards/${slice}-${attempt}.db`,
  failed: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/failed.json`,
  /** Exists once the table's last slice does, so that one listing shows whether a round is fetched. */
  ended: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/ended.json`,
  /** Until when the table waits, because Dataverse asked to; see waiting.ts. */
  waiting: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/waiting.json`,
  /** How much of its slice the process that reads it has read; see progress-tracker.ts. */
  progress: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/progress.json`,
  /** The latest error of a slice of the table, for the poison handler. */
  lastError: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/last-error.json`,
  mergeRequest: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merge.json`,
  /** Exists once a table of the round waits or takes long, and an early merge is requested. */
  earlyMerge: (runId: string, round: number) => `runs/${runId}/rounds/${round}/early-merge.json`,
  /** The latest error of the merge, for the poison handler. */
  mergeError: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merge-error.json`,
  merged: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merged.json`,
  /** How far the files of a run are. */
  files: (runId: string) => `runs/${runId}/rounds/files.json`,
} as const;
