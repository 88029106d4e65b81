import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Limiter, limiterFor, PauseTooLongError } from '../../../src/dataverse/transport/limiter.ts';

test('runs a limited number at once, in order', async () => {
  const limiter = new Limiter(2);
  const order: number[] = [];
  await limiter.acquire();
  await limiter.acquire();
  const waiting = [3, 4, 5].map((n) => limiter.acquire().then(() => order.push(n)));
  await Promise.resolve();
  expect(order).toEqual([]);
  for (let i = 0; i < 3; i += 1) {
    limiter.release();
    await waiting[i];
  }
  expect(order).toEqual([3, 4, 5]);
  expect(limiter.running).toBe(2);
});

test('runs retries first, in order', async () => {
  const limiter = new Limiter(1);
  await limiter.acquire();
  const order: string[] = [];
  const waiting = ['new 1', 'retry 1', 'new 2', 'retry 2'].map((name) =>
    limiter.acquire(undefined, 60, name.startsWith('retry')).then(() => {
      order.push(name);
      limiter.release();
    }),
  );
  limiter.release();
  await Promise.all(waiting);
  expect(order).toEqual(['retry 1', 'retry 2', 'new 1', 'new 2']);
});

test('follows the hint up to the cap, narrows once per burst and widens slowly', () => {
  const limiter = new Limiter(16);
  expect(limiter.width).toBe(8);
  limiter.succeeded(4);
  expect(limiter.width).toBe(4);
  limiter.succeeded(48);
  for (let i = 0; i < 500; i += 1) limiter.succeeded();
  expect(limiter.width).toBe(16);
  limiter.throttled(0.5);
  limiter.throttled(0.5);
  limiter.throttled(0.5);
  expect(limiter.width).toBe(8);
  for (let i = 0; i < 7; i += 1) limiter.succeeded();
  expect(limiter.width).toBe(8);
  limiter.succeeded();
  expect(limiter.width).toBe(9);
});

test('delays all requests during a pause and rejects those that cannot wait', async () => {
  const limiter = new Limiter(4);
  limiter.pause(0.1);
  const began = performance.now();
  await expect(limiter.acquire(undefined, 0.01)).rejects.toBeInstanceOf(PauseTooLongError);
  await Promise.all([limiter.acquire(), limiter.acquire()]);
  // A timer may fire a millisecond early.
  expect(performance.now() - began).toBeGreaterThan(90);
});

test('removes an aborted request from the queue without releasing a slot', async () => {
  const limiter = new Limiter(1);
  await limiter.acquire();
  const stop = new AbortController();
  const aborted = limiter.acquire(stop.signal);
  const next = limiter.acquire();
  stop.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  limiter.release();
  await next;
  expect(limiter.running).toBe(1);
  await expect(limiter.acquire(AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});

test('never runs more requests than its cap', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('hint' as const), value: fc.integer({ min: 1, max: 60 }) }),
    fc.record({
      kind: fc.constantFrom('acquire' as const, 'release' as const, 'success' as const, 'throttled' as const),
      value: fc.constant(0),
    }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.array(step, { maxLength: 200 }),
      async (cap, steps) => {
        const limiter = new Limiter(cap);
        let held = 0;
        for (const { kind, value } of steps) {
          if (kind === 'acquire') void limiter.acquire().then(() => (held += 1));
          else if (kind === 'release' && held > 0) {
            held -= 1;
            limiter.release();
          } else if (kind === 'hint') limiter.succeeded(value);
          else if (kind === 'success') limiter.succeeded();
          else if (kind === 'throttled') limiter.throttled(0);
          await Promise.resolve();
          expect(limiter.running).toBeLessThanOrEqual(cap);
          expect(limiter.width).toBeGreaterThanOrEqual(1);
          expect(limiter.width).toBeLessThanOrEqual(cap);
        }
      },
    ),
  );
});

test('shares one limiter per origin', () => {
  expect(limiterFor('https://a.example', 4)).toBe(limiterFor('https://a.example', 8));
  expect(limiterFor('https://a.example', 4)).not.toBe(limiterFor('https://b.example', 4));
});

test('a resource that is throttled alone, again and again, pauses only itself', () => {
  const limiter = new Limiter(16);
  const throttle = (resource: string) => limiter.throttled(0, resource);
  // Without a success of another resource, the limit may be that of the user.
  expect(Array.from({ length: 5 }, () => throttle('leads'))).toEqual(Array(5).fill('all'));
  const alone = Array.from({ length: 4 }, () => {
    limiter.succeeded(undefined, 'accounts');
    return throttle('leads');
  });
  expect(alone).toEqual(['all', 'all', 'resource', 'resource']);
  limiter.succeeded(undefined, 'accounts');
  expect(throttle('accounts')).toBe('all');
  limiter.succeeded(undefined, 'leads');
  limiter.succeeded(undefined, 'accounts');
  expect(throttle('leads')).toBe('all');
});
