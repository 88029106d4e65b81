import { expect, it } from 'vitest';
import { RecountSchedule } from '../../../src/target/sqlite/recount-schedule.ts';
import { memoryStorage } from '../../sync/memory-storage.ts';

const at = (hours: number) => new Date(Date.UTC(2026, 10, 26) + hours * 3_600_000).toISOString();

it('counts once in an interval, and again if a merge has not counted', async () => {
  const documents = memoryStorage().published;
  const schedule = new RecountSchedule(documents, 10);
  const isDue = async (hours: number) => (await schedule.begin(at(hours))) !== undefined;
  // The time begins with the first merge.
  expect(await isDue(0)).toBe(false);
  expect(await isDue(9)).toBe(false);
  const putBack = await schedule.begin(at(10));
  expect(putBack).toBeDefined();
  // A merge that was killed has left its note.
  expect(await isDue(11)).toBe(false);
  await putBack!();
  expect(await isDue(12)).toBe(true);
  expect(await isDue(21)).toBe(false);
  expect(await isDue(22)).toBe(true);
});

it.each([
  ['{}', {}],
  ['null', null],
  ['another text', { at: 'soon' }],
  ['a time in the future', { at: at(1000) }],
])('begins anew from a note with %s', async (_, note) => {
  const documents = memoryStorage().published;
  await documents.put('last-check.json', note);
  const schedule = new RecountSchedule(documents, 10);
  expect(await schedule.begin(at(0))).toBeUndefined();
  expect(await schedule.begin(at(9))).toBeUndefined();
  expect(await schedule.begin(at(10))).toBeDefined();
});

it('counts each database in its own time', async () => {
  const schedule = new RecountSchedule(memoryStorage().published, 10);
  const isDue = async (hours: number, database?: string) =>
    (await schedule.begin(at(hours), database)) !== undefined;
  expect([await isDue(0), await isDue(0, 'sales')]).toEqual([false, false]);
  expect(await isDue(10)).toBe(true);
  // It was not open then.
  expect(await isDue(11, 'sales')).toBe(true);
  expect([await isDue(12), await isDue(12, 'sales')]).toEqual([false, false]);
});

it('never counts with an interval of 0', async () => {
  const documents = memoryStorage().published;
  expect(await new RecountSchedule(documents, 0).begin(at(0))).toBeUndefined();
  expect(await documents.exists('last-check.json')).toBe(false);
});
