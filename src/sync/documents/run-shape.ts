import { z } from 'zod';
import type { ActiveRun, RunDocument } from './run.ts';

/*
 * What the code relies on in `run.json` and `active.json`. Other programs may have written to the container, so both are
 * checked before they are used. Members that are not named here, of other versions, pass.
 */

const text = z.string();
const count = z.number();
const texts = z.array(text);
const time = z.string().refine((value) => !Number.isNaN(Date.parse(value)));
const optional = <T extends z.ZodType>(names: readonly string[], type: T) =>
  Object.fromEntries(names.map((name) => [name, type.optional()]));
const required = <T extends z.ZodType>(names: readonly string[], type: T) =>
  Object.fromEntries(names.map((name) => [name, type]));

/** A part of the names of blobs and addresses. */
const runId = z.string().regex(/^[\w-]{1,64}$/);

const tableReport = z.looseObject({
  name: text,
  strategy: text,
  state: z.enum(['waiting', 'fetching', 'fetched', 'merged', 'failed']),
  ...required(['rowsRead', 'pages', 'requests', 'retries', 'bytes', 'seconds'], count),
  ...required(['added', 'updated', 'deleted', 'unchanged'], count),
  ...optional(
    ['throttled', 'waitedSeconds', 'wireBytes', 'rows', 'verified', 'corrected', 'dataverseRows'],
    count,
  ),
  ...optional(['table', 'reason', 'reread', 'error', 'hint'], text),
  notes: texts.optional(),
  syncedAt: time.optional(),
});

const run = z.looseObject({
  runId,
  trigger: text,
  startedAt: time,
  finishedAt: time.optional(),
  announced: z.boolean().optional(),
  phase: z.enum(['planning', 'fetching', 'merging', 'complete', 'failed', 'abandoned']).optional(),
  ...optional(['allowMassDelete', 'dropTables'], texts),
  reread: z.union([z.literal('all'), texts]).optional(),
  notDone: z.looseObject(optional(['allowMassDelete', 'dropTables'], texts)).optional(),
  ...optional(['error', 'hint'], text),
  ...optional(['rounds', 'danglingReferences'], count),
  entities: z.array(tableReport).optional(),
  database: z
    .looseObject({ ...required(['bytes', 'stagedBlocks', 'stagedBytes'], count), etag: text.optional() })
    .optional(),
  files: z.looseObject(required(['fetched', 'bytes', 'failed', 'removed'], count)).optional(),
  quality: z
    .looseObject({
      byStrategy: z.record(text, z.looseObject(required(['tables', 'rows'], count))),
      rows: count,
      oldestSync: time.optional(),
      ageSeconds: count.optional(),
      counted: count,
      miscounted: texts,
    })
    .optional(),
});

const activeRun = z.looseObject({
  runId,
  format: count.optional(),
  startedAt: time,
  trigger: text.optional(),
  resumptions: count,
  resumedAt: time.optional(),
  progressAt: time.optional(),
});

/** Whether a text can be the id of a run. */
export function isRunId(value: unknown): value is string {
  return runId.safeParse(value).success;
}

/** Whether a document is the report of this run. A run that is over has a time at which it ended. */
export function isRunDocument(value: unknown, id: string): value is RunDocument {
  const parsed = run.safeParse(value);
  if (!parsed.success || parsed.data.runId !== id) return false;
  return parsed.data.phase === undefined || parsed.data.finishedAt !== undefined;
}

/** Whether a document says which run is live. */
export function isActiveRun(value: unknown): value is ActiveRun {
  return activeRun.safeParse(value).success;
}
