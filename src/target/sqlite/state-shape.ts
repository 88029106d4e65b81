import * as z from 'zod';
import { wholeTableStrategies } from '../../config/strategies.ts';
import { columnTypes } from '../../schema/column-types.ts';

/*
 * What the code relies on in `state.json`. Another program may have written to the container, so the file is checked
 * before it is used. Members that are not named here, of other versions, pass.
 */

const text = z.string();
const time = z.string().refine((value) => !Number.isNaN(Date.parse(value)));
const count = z.number();
const texts = z.array(text);
/** A name that no object has by itself. */
const name = z.string().refine((value) => !(value in Object.prototype));

const column = z.looseObject({
  name: text,
  property: text.optional(),
  edmType: text,
  type: text,
  reading: z.enum(Object.keys(columnTypes)),
});

const foreignKey = z.looseObject({ column: text, targets: texts, typeColumn: text.optional() });

const table = z.looseObject({
  logicalName: name,
  name: text,
  entitySet: text.optional(),
  primaryKey: text,
  primaryName: text.optional(),
  columns: z.array(column).min(1),
  foreignKeys: z.array(foreignKey),
  staleColumns: z.array(column).optional(),
  declaredKeys: texts.optional(),
  versionColumn: text.optional(),
  modifiedOnColumn: text.optional(),
});

const entity = z.looseObject({
  table: table.optional(),
  // Version 0.1 called `filtered` so.
  strategy: z.enum([...wholeTableStrategies, 'filtered', 'linked']),
  deltaLink: text.optional(),
  deltaVersion: z.string().regex(/^\d+$/).optional(),
  watermark: time.optional(),
  reached: z.looseObject({ at: time, version: z.string().regex(/^\d+$/).optional() }).optional(),
  window: z.looseObject({ from: time, digest: text, values: text.optional() }).optional(),
  contentDigest: text.optional(),
  valuesDigest: text.optional(),
  rows: count,
  rowBytes: count.optional(),
  sweepAgain: text.optional(),
  uncompared: z.looseObject({ error: text, hint: text.optional(), at: time }).optional(),
  runsSinceSweep: count,
  comparedAt: time.optional(),
  syncedAt: time,
  fallback: z.looseObject({ reason: text, until: time, refused: texts.optional() }).optional(),
  refusedOptions: z.looseObject({ options: texts, until: time }).optional(),
  history: z.boolean().optional(),
  reread: text.optional(),
  storedIds: text.optional(),
  knownIds: text.optional(),
  absentIds: z.looseObject({ list: text, askedAt: time, againAt: time.optional() }).optional(),
});

const figures = ['rowsRead', 'pages', 'requests', 'retries', 'bytes', 'seconds', 'round'] as const;
const merged = ['added', 'updated', 'deleted', 'unchanged'] as const;

const logRow = z.looseObject({
  ...{ runId: text, name: text, state: text, strategy: text, startedAt: time, finishedAt: time },
  ...Object.fromEntries([...figures, ...merged].map((figure) => [figure, count])),
  ...Object.fromEntries(
    ['runs', 'throttled', 'waitedSeconds', 'wireBytes'].map((one) => [one, count.optional()]),
  ),
  ...Object.fromEntries(['reason', 'error', 'hint'].map((one) => [one, text.optional()])),
});

const state = z.looseObject({
  databaseEtag: text.optional(),
  databaseBytes: count.optional(),
  databases: z
    .record(name, z.looseObject({ etag: text, bytes: count, dangling: count.optional() }))
    .optional(),
  leftovers: z.array(table).optional(),
  metadataVersion: text.optional(),
  catalog: text.optional(),
  organizationId: text.optional(),
  configDigest: text.optional(),
  configured: texts.optional(),
  choices: text.optional(),
  labelsAgainAt: time.optional(),
  files: z
    .looseObject({ entities: texts, etag: text.optional(), databases: z.record(name, text).optional() })
    .optional(),
  closureOpen: z.boolean().optional(),
  tables: text.optional(),
  entities: z.record(name, entity),
  pendingLog: z.array(logRow),
});

/** Whether the content of `state.json` can be used. */
export function isStoredState(value: unknown): boolean {
  return state.safeParse(value).success;
}

/** Whether the content of a file with the models of tables, by logical name, can be used. */
export function areStoredTables(value: unknown): boolean {
  return z.record(name, table).safeParse(value).success;
}
