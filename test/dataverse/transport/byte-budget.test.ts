import { expect, test } from 'vitest';
import { ByteBudget } from '../../../src/dataverse/transport/byte-budget.ts';

/** More than what is always admitted. */
const kb = 70_000;
const { signal } = new AbortController();
const settled = async (promise: Promise<void>): Promise<boolean> =>
  Promise.race([
    promise.then(() => true),
    new Promise<false>((resolve) => setImmediate(() => resolve(false))),
  ]);

test('responses wait until they fit in', async () => {
  const budget = new ByteBudget(100 * kb);
  const [first, second, third] = [budget.open(), budget.open(), budget.open()];
  await first.reserve(60 * kb, signal);
  await second.reserve(40 * kb, signal);
  const waiting = third.reserve(50 * kb, signal);
  expect(await settled(waiting)).toBe(false);
  second.close();
  expect(await settled(waiting)).toBe(false);
  first.close();
  expect(await settled(waiting)).toBe(true);
  expect(budget.used).toBe(50 * kb);
  third.close();
  third.close();
  expect(budget.used).toBe(0);
});

test('the oldest response never waits, so that responses do not wait for each other', async () => {
  const budget = new ByteBudget(100 * kb);
  const [first, second] = [budget.open(), budget.open()];
  await first.reserve(50 * kb, signal);
  await second.reserve(50 * kb, signal);
  const waiting = second.reserve(50 * kb, signal);
  await first.reserve(500 * kb, signal);
  expect(budget.used).toBe(600 * kb);
  expect(await settled(waiting)).toBe(false);
  first.close();
  // The second one is the oldest now.
  expect(await settled(waiting)).toBe(true);
});

test('a wait ends with its signal, and takes nothing', async () => {
  const budget = new ByteBudget(100 * kb);
  const [first, second] = [budget.open(), budget.open()];
  await first.reserve(100 * kb, signal);
  const stop = new AbortController();
  const waiting = second.reserve(1 * kb, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
  second.close();
  first.close();
  expect(budget.used).toBe(0);
  await expect(budget.open().reserve(1 * kb, stop.signal)).rejects.toThrow('stopped');
});

test('a response that was read to its end does not keep the others waiting for each other', async () => {
  const budget = new ByteBudget(100 * kb);
  const [held, second, third] = [budget.open(), budget.open(), budget.open()];
  await held.reserve(100 * kb, signal);
  const waiting = second.reserve(50 * kb, signal);
  expect(await settled(waiting)).toBe(false);
  // Its owner keeps the bytes, and may ask for another response before it gives them back.
  held.complete();
  expect(await settled(waiting)).toBe(true);
  expect(await settled(third.reserve(50 * kb, signal))).toBe(false);
  expect(await settled(third.reserve(1000, signal))).toBe(true);
});
