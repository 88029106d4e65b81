import { expect, test } from 'vitest';
import { ByteBudget } from '../../../src/dataverse/transport/byte-budget.ts';

const { signal } = new AbortController();
const settled = async (promise: Promise<void>): Promise<boolean> =>
  Promise.race([
    promise.then(() => true),
    new Promise<false>((resolve) => setImmediate(() => resolve(false))),
  ]);

test('responses wait until they fit in', async () => {
  const budget = new ByteBudget(100);
  const [first, second, third] = [budget.open(), budget.open(), budget.open()];
  await first.reserve(60, signal);
  await second.reserve(40, signal);
  const waiting = third.reserve(50, signal);
  expect(await settled(waiting)).toBe(false);
  second.close();
  expect(await settled(waiting)).toBe(false);
  first.close();
  expect(await settled(waiting)).toBe(true);
  expect(budget.used).toBe(50);
  third.close();
  third.close();
  expect(budget.used).toBe(0);
});

test('the oldest response never waits, so that responses do not wait for each other', async () => {
  const budget = new ByteBudget(100);
  const [first, second] = [budget.open(), budget.open()];
  await first.reserve(50, signal);
  await second.reserve(50, signal);
  const waiting = second.reserve(50, signal);
  await first.reserve(500, signal);
  expect(budget.used).toBe(600);
  expect(await settled(waiting)).toBe(false);
  first.close();
  // The second one is the oldest now.
  expect(await settled(waiting)).toBe(true);
});

test('a wait ends with its signal, and takes nothing', async () => {
  const budget = new ByteBudget(100);
  const [first, second] = [budget.open(), budget.open()];
  await first.reserve(100, signal);
  const stop = new AbortController();
  const waiting = second.reserve(1, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
  second.close();
  first.close();
  expect(budget.used).toBe(0);
  await expect(budget.open().reserve(1, stop.signal)).rejects.toThrow('stopped');
});
