import fc from 'fast-check';
import type { FaultKind } from '../../src/local/sample-dataverse/index.ts';

/**
 * A random history as plain data, so that fast-check can shrink and print it. A number selects among what exists when
 * the step runs (`row: 7` is row 7 modulo the table's rows), so that any part of a history is a history.
 */
export interface EntityChoice {
  table: number;
  filtered: boolean;
  deletes: 'remove' | 'mark';
  history: boolean;
  rawJson: boolean;
  strategy?: 'delta' | 'modifiedon' | 'full';
}

export interface HistoryConfig {
  entities: EntityChoice[];
  seed: number;
  rows: number;
  pageSize: number;
  smallSlices: boolean;
  overlapSeconds: number;
  wideVersions: boolean;
  /** A table that loses its versionnumber before the first sync. */
  versionless: number | undefined;
  /** Whether each sync verifies all tables, which have a calculated column then. */
  verifies: boolean;
}

export type DataStep =
  | { do: 'create'; table: number; count: number; seed: number; backdated: boolean }
  | { do: 'update'; table: number; row: number; count: number; seed: number; backdated: boolean }
  | { do: 'delete'; table: number; row: number; count: number }
  | { do: 'recreate'; table: number; row: number; seed: number }
  | { do: 'revive'; table: number; row: number; seed: number }
  | { do: 'reparent'; table: number; row: number; lookup: number; target: number }
  | { do: 'associate'; table: number; first: number; second: number }
  | { do: 'disassociate'; table: number; row: number }
  /** Other values of the calculated column, without a new version; where it is odd, with an earlier one. */
  | { do: 'compute'; table: number; row: number; count: number; seed: number }
  | { do: 'tick'; milliseconds: number };

export type SchemaStep =
  | { do: 'add-column'; table: number; name: number; type: number; seed: number }
  | { do: 'drop-column'; table: number; column: number }
  | { do: 'retype-column'; table: number; column: number; type: number; seed: number }
  | { do: 'drop-table'; table: number }
  | { do: 'restore-table'; table: number }
  | { do: 'configure-table'; choice: EntityChoice };

export interface SyncStep {
  do: 'sync';
  seed: number;
  /** How many messages are delivered at the same time, in random order. */
  parallel: number;
  /** Whether messages are delivered twice, and messages of earlier runs again. */
  duplicates: boolean;
  /** The number of the write to storage during which the process dies. */
  kill: number | undefined;
  faults: { kind: FaultKind; after: number; times: number }[];
  /** Changes in Dataverse during the sync. */
  meanwhile: DataStep[];
  /** Whether a second sync follows, which must find nothing to do. */
  again: boolean;
  /** The tables of a narrow run, modulo the number of those that are configured. Absent from a sync of all tables. */
  tables?: number[];
}

export type Step = DataStep | SchemaStep | SyncStep;

export interface RandomHistory {
  config: HistoryConfig;
  steps: Step[];
}

const number = fc.nat({ max: 9999 });
const seed = fc.nat();
const count = fc.integer({ min: 1, max: 4 });
const backdated = fc.boolean();

const entity: fc.Arbitrary<EntityChoice> = fc.record(
  {
    table: number,
    filtered: fc.boolean(),
    deletes: fc.constantFrom('remove', 'mark'),
    history: fc.boolean(),
    rawJson: fc.boolean(),
    strategy: fc.constantFrom('delta', 'modifiedon', 'full'),
  },
  { requiredKeys: ['table', 'filtered', 'deletes', 'history', 'rawJson'] },
);

const config: fc.Arbitrary<HistoryConfig> = fc.record({
  entities: fc.array(entity, { minLength: 1, maxLength: 6 }),
  seed,
  rows: fc.integer({ min: 0, max: 70 }),
  pageSize: fc.integer({ min: 1, max: 30 }),
  smallSlices: fc.boolean(),
  overlapSeconds: fc.constantFrom(0, 120),
  wideVersions: fc.boolean(),
  versionless: fc.option(number, { nil: undefined, freq: 5 }),
  verifies: fc.boolean(),
});

const dataStep: fc.Arbitrary<DataStep> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('create' as const), table: number, count, seed, backdated }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('update' as const),
      table: number,
      row: number,
      count,
      seed,
      backdated,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('delete' as const), table: number, row: number, count }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('recreate' as const), table: number, row: number, seed }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('revive' as const), table: number, row: number, seed }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('reparent' as const),
      table: number,
      row: number,
      lookup: number,
      target: number,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('associate' as const),
      table: number,
      first: number,
      second: number,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('disassociate' as const), table: number, row: number }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('compute' as const), table: number, row: number, count, seed }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('tick' as const),
      // Less than a second, seconds, hours, and longer than Dataverse keeps changes.
      milliseconds: fc.constantFrom(1, 400, 1_000, 130_000, 7_200_000, 8 * 86_400_000),
    }),
  },
);

const schemaStep: fc.Arbitrary<SchemaStep> = fc.oneof(
  fc.record({ do: fc.constant('add-column' as const), table: number, name: number, type: number, seed }),
  fc.record({ do: fc.constant('drop-column' as const), table: number, column: number }),
  fc.record({ do: fc.constant('retype-column' as const), table: number, column: number, type: number, seed }),
  fc.record({ do: fc.constant('drop-table' as const), table: number }),
  fc.record({ do: fc.constant('restore-table' as const), table: number }),
  fc.record({ do: fc.constant('configure-table' as const), choice: entity }),
);

export const faultKinds: FaultKind[] = [
  ...(['429', '503', '504', '502-html', '401', 'sql-timeout', 'deadlock', 'query-throttled'] as const),
  ...(['expired-token', 'reset', 'timeout', 'reset-mid-body', 'truncate', 'not-json', 'empty-body'] as const),
  ...(['repeat-nextlink', 'foreign-nextlink', 'repeat-row'] as const),
];

const syncStep: fc.Arbitrary<SyncStep> = fc.record({
  do: fc.constant('sync' as const),
  seed,
  parallel: fc.integer({ min: 1, max: 3 }),
  duplicates: fc.boolean(),
  kill: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined, freq: 2 }),
  faults: fc.array(
    fc.record({
      kind: fc.constantFrom(...faultKinds),
      after: fc.integer({ min: 0, max: 12 }),
      times: fc.integer({ min: 1, max: 6 }),
    }),
    { maxLength: 2 },
  ),
  meanwhile: fc.oneof(
    { weight: 3, arbitrary: fc.constant<DataStep[]>([]) },
    { weight: 1, arbitrary: fc.array(dataStep, { minLength: 1, maxLength: 4 }) },
  ),
  again: fc.boolean(),
});

/**
 * @param drift whether the schema changes too
 * @param maxSteps the length of the longest history
 */
export function randomHistory(drift: boolean, maxSteps: number): fc.Arbitrary<RandomHistory> {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 10, arbitrary: dataStep },
    { weight: drift ? 2 : 0, arbitrary: schemaStep },
    { weight: 3, arbitrary: syncStep },
  );
  return fc.record({ config, steps: fc.array(step, { minLength: 3, maxLength: maxSteps }) });
}

/** A history whose syncs are of some tables, and now and then of all. */
export function narrowHistory(maxSteps: number): fc.Arbitrary<RandomHistory> {
  const tables = fc.array(number, { minLength: 1, maxLength: 3 });
  const narrow = fc.tuple(syncStep, tables).map(([step, tables]): SyncStep => ({ ...step, tables }));
  // Faults and deaths make runs whose outcome is not compared.
  const quiet = narrow.map((step): SyncStep => ({ ...step, faults: [], kill: undefined, meanwhile: [] }));
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 10, arbitrary: dataStep },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('configure-table' as const), choice: entity }) },
    { weight: 4, arbitrary: quiet },
    { weight: 1, arbitrary: narrow },
    { weight: 1, arbitrary: syncStep },
  );
  const first: SyncStep = { ...plainSync, again: false };
  return fc.record({
    config: fc.tuple(config, entity, entity).map(([rest, one, two]) => ({
      ...rest,
      // Accounts as a whole, and the contacts that they need.
      entities: [
        { ...one, table: 0, filtered: false },
        { ...two, table: 0, filtered: true },
        ...rest.entities,
      ],
    })),
    steps: fc
      .array(step, { minLength: 6, maxLength: maxSteps })
      .map((steps) => [...(steps.length % 4 === 0 ? [] : [first]), ...steps]),
  });
}

/** A sync without faults. */
export const plainSync: SyncStep = {
  do: 'sync',
  seed: 1,
  parallel: 1,
  duplicates: false,
  kill: undefined,
  faults: [],
  meanwhile: [],
  again: true,
};
