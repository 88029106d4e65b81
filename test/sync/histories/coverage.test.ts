import fc from 'fast-check';
import { expect, test } from 'vitest';
import { faultKinds, type RandomHistory, randomHistory, type Step } from '../history-steps.ts';
import { steps, withDrift, withoutDrift } from '../random-histories.ts';

const histories: RandomHistory[] = [withoutDrift, withDrift].flatMap(({ seed, runs, drift }) =>
  fc.sample(randomHistory(drift, steps.short), { seed, numRuns: runs }),
);
const all = histories.flatMap((history) => history.steps);
const syncs = all.filter((step) => step.do === 'sync');

/** How many different values there are. */
const kinds = (values: readonly unknown[]): number => new Set(values).size;

test('the histories of the normal form meet every fault', () => {
  const met = new Set(syncs.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
  expect(faultKinds.filter((kind) => !met.has(kind))).toEqual([]);
});

test('they have every kind of step, also during a sync', () => {
  const wanted: Record<Step['do'], 'alone' | 'also during a sync'> = {
    create: 'also during a sync',
    update: 'also during a sync',
    delete: 'also during a sync',
    recreate: 'also during a sync',
    revive: 'also during a sync',
    reparent: 'also during a sync',
    associate: 'also during a sync',
    disassociate: 'also during a sync',
    compute: 'also during a sync',
    tick: 'also during a sync',
    'add-column': 'alone',
    'drop-column': 'alone',
    'retype-column': 'alone',
    'drop-table': 'alone',
    'restore-table': 'alone',
    'configure-table': 'alone',
    sync: 'alone',
  };
  const alone = new Set<string>(all.map((step) => step.do));
  const meanwhile = new Set<string>(syncs.flatMap((sync) => sync.meanwhile.map((step) => step.do)));
  for (const [step, where] of Object.entries(wanted)) {
    expect(alone, step).toContain(step);
    if (where === 'also during a sync') expect(meanwhile, step).toContain(step);
  }
});

test('they have every option of a table, a history and a sync', () => {
  const entities = histories.flatMap(({ config }) => config.entities);
  // Three strategies or none, each with two ways to treat deletes, and with and without a history.
  expect(kinds(entities.map(({ strategy, deletes }) => `${strategy} ${deletes}`))).toBe(8);
  expect(kinds(entities.map(({ strategy, history }) => `${strategy} ${history}`))).toBe(8);
  expect(kinds(entities.map(({ filtered, deletes }) => `${filtered} ${deletes}`))).toBe(4);
  for (const option of ['smallSlices', 'overlapSeconds', 'wideVersions', 'verifies'] as const)
    expect(kinds(histories.map(({ config }) => config[option])), option).toBe(2);
  expect(kinds(histories.map(({ config }) => config.versionless === undefined))).toBe(2);
  expect(kinds(syncs.map(({ parallel }) => parallel))).toBe(3);
  expect(kinds(syncs.map(({ duplicates }) => duplicates))).toBe(2);
  expect(kinds(syncs.map(({ again }) => again))).toBe(2);
  // The process dies early, late, or not at all.
  expect(kinds(syncs.map(({ kill }) => (kill === undefined ? 'no' : kill < 30)))).toBe(3);
});
