import { describe, expect, it } from 'vitest';
import { ShardCache } from '../../src/storage/shard-cache.ts';

describe('ShardCache', () => {
  it('holds no more memory than its shards have bytes', () => {
    const cache = new ShardCache(1000);
    const reserved = new Uint8Array(1_000_000);
    reserved.fill(7, 0, 100);
    cache.put('a', reserved.subarray(0, 100));
    const kept = cache.get('a')!;
    expect([...kept]).toEqual(Array(100).fill(7));
    expect(kept.buffer.byteLength).toBe(100);
  });

  it('keeps the shards used last, and none of a run that is over', () => {
    const cache = new ShardCache(300);
    for (const name of ['runs/1/a', 'runs/1/b', 'runs/2/c']) cache.put(name, new Uint8Array(100));
    cache.get('runs/1/a');
    cache.put('runs/2/d', new Uint8Array(100));
    const has = (name: string) => cache.get(name) !== undefined;
    expect(['runs/1/a', 'runs/1/b', 'runs/2/c', 'runs/2/d'].map(has)).toEqual([true, false, true, true]);
    cache.forget('runs/1/');
    expect(['runs/1/a', 'runs/2/c', 'runs/2/d'].map(has)).toEqual([false, true, true]);
    cache.put('large', new Uint8Array(301));
    expect(has('large')).toBe(false);
  });
});
