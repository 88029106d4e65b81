/** The names of all documents in the work container. */
export const paths = {
  active: 'active.json',
  catalog: (digest: string) => `catalogs/${digest}.json`,
  choices: (digest: string) => `choices/${digest}.json`,
  /** The folders of content-addressed documents. */
  contentFolders: ['catalogs/', 'choices/', 'stored-ids/', 'known-ids/'],
  storedIds: (digest: string) => `stored-ids/${digest}.json`,
  run: (runId: string) => `runs/${runId}/run.json`,
  runFolder: (runId: string) => `runs/${runId}/`,
  roundsFolder: (runId: string) => `runs/${runId}/rounds/`,
  plan: (runId: string, round: number) => `runs/${runId}/rounds/${round}/plan.json`,
  slice: (runId: string, round: number, entity: string, slice: number) =>
    `runs/${runId}/rounds/${round}/${entity}/slices/${slice}.json`,
  shard: (runId: string, round: number, entity: string, slice: number, attempt: string) =>
    `runs/${runId}/rounds/${round}/${entity}/shards/${slice}-${attempt}.db`,
  failed: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/failed.json`,
  /** The mark that an entity's last slice is claimed, so that one listing tells whether a round is complete. */
  ended: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/ended.json`,
  /** The last error of an entity's slice, for the poison handler; overwritten freely. */
  lastError: (runId: string, round: number, entity: string) =>
    `runs/${runId}/rounds/${round}/${entity}/last-error.json`,
  mergeRequest: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merge.json`,
  /** The last error of the merge, for the poison handler. */
  mergeError: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merge-error.json`,
  merged: (runId: string, round: number) => `runs/${runId}/rounds/${round}/merged.json`,
} as const;
