import * as z from 'zod';
import type { Labels } from '../../target/mirror-target.ts';
import type { RoundPlan } from './plan.ts';
import type { MergedRound } from './report.ts';
import type { ActiveRun, RunDocument } from './run.ts';
import type { Slice } from './slice.ts';

/*
 * What the code relies on in `run.json`, `active.json` and the documents of rounds. Other programs may have written to the
 * container, so all are checked before they are used. Members that are not named here, of other versions, pass.
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

/** Of a run and of one round. */
const database = z.looseObject({
  ...required(['bytes', 'stagedBlocks', 'stagedBytes'], count),
  etag: text.optional(),
});

const run = z.looseObject({
  runId,
  trigger: text,
  startedAt: time,
  finishedAt: time.optional(),
  announced: z.boolean().optional(),
  phase: z.enum(['planning', 'fetching', 'merging', 'complete', 'failed', 'abandoned']).optional(),
  ...optional(['allowMassDelete', 'dropTables', 'tables'], texts),
  reread: z.union([z.literal('all'), texts]).optional(),
  notDone: z.looseObject(optional(['allowMassDelete', 'dropTables'], texts)).optional(),
  ...optional(['error', 'hint'], text),
  ...optional(['rounds', 'danglingReferences'], count),
  entities: z.array(tableReport).optional(),
  database: database.optional(),
  databases: z.record(text, z.looseObject({ bytes: count, etag: text, tables: count })).optional(),
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
  tables: texts.optional(),
  resumptions: count,
  released: z.boolean().optional(),
  resumedAt: time.optional(),
  progressAt: time.optional(),
});

const strategyRead = { strategy: text, read: z.looseObject({ kind: text }) };

const sliceStart = z.looseObject({
  ...strategyRead,
  part: z.enum(['rows', 'keys']),
  ...optional(['link', 'reason'], text),
  ...optional(['offset', 'pageSize'], count),
  pending: texts.optional(),
  soFar: z.looseObject(required(['pages', 'records', 'bytes'], count)).optional(),
});

const slice = z.looseObject({
  ...required(['slice', 'rowsRead', 'deleted', 'keys'], count),
  ...required(['digest', 'keysDigest'], text),
  ...optional(['shard', 'valuesDigest', 'readAt', 'maxModifiedOn', 'deltaLink'], text),
  maxVersion: z.string().regex(/^\d+$/).optional(),
  ...optional(['refused', 'absent', 'notes'], texts),
  start: sliceStart,
  next: sliceStart.optional(),
});

const plan = z.looseObject({
  runId,
  round: count,
  createdAt: time,
  ...required(['configDigest', 'catalog'], text),
  ...optional(['metadataVersion', 'organizationId', 'labelsAgainAt', 'schemaReport'], text),
  configured: texts,
  narrow: z.looseObject({ ...required(['tables', 'withFiles'], texts), closureOpen: z.boolean() }).optional(),
  entities: z.record(
    text,
    z.looseObject({
      ...strategyRead,
      // The plans of earlier versions have less. Their runs are abandoned with a report.
      config: z.looseObject({}),
      reason: text.optional(),
      fallback: z.looseObject(strategyRead).optional(),
      knownAt: text.optional(),
      rowBytes: count.optional(),
      omit: texts.optional(),
      carried: z.looseObject({ round: count, createdAt: time }).optional(),
      reread: text.optional(),
      counted: count.optional(),
      spent: z.record(text, count).optional(),
    }),
  ),
  slices: z.record(text, slice).optional(),
});

const merged = z.looseObject({
  round: count,
  entities: z.array(tableReport),
  database: database.optional(),
  danglingReferences: count.optional(),
  next: z.record(text, texts),
  movedBack: text.optional(),
  reread: z.record(text, text).optional(),
  postponed: texts.optional(),
});

const labels = z.looseObject({
  language: count.optional(),
  choices: z.array(
    z.looseObject({
      ...required(['table', 'column', 'label'], text),
      ...required(['value', 'language'], count),
    }),
  ),
  unlabelled: z.array(z.looseObject(required(['table', 'column'], text))).optional(),
});

/** Whether a document contains labels of choices. */
export function areLabels(value: unknown): value is Labels {
  return labels.safeParse(value).success;
}

/** Whether a document is the plan of this round. */
export function isPlan(value: unknown, id: string, round: number): value is RoundPlan {
  const parsed = plan.safeParse(value);
  return parsed.success && parsed.data.runId === id && parsed.data.round === round;
}

/** Whether a document says what an invocation read. */
export function isSlice(value: unknown): value is Slice {
  return slice.safeParse(value).success;
}

/** Whether a document says what the merge of a round did. */
export function isMergedRound(value: unknown): value is MergedRound {
  return merged.safeParse(value).success;
}

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
