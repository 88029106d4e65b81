import { describe, expect, it } from 'vitest';
import { DocumentReader } from '../../src/sync/documents/document-reader.ts';
import { memoryStorage } from './memory-storage.ts';

const text = (length: number): string => 'x'.repeat(length - 2);

describe('DocumentReader', () => {
  it('keeps documents up to a number of bytes, those used last', async () => {
    const { work } = memoryStorage();
    const reads: string[] = [];
    const read = work.read.bind(work);
    work.read = (name) => {
      reads.push(name);
      return read(name);
    };
    const reader = new DocumentReader(work, 400);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await work.put(name, text(100));
    for (const name of ['a', 'b', 'c', 'd']) await reader.claim(name);
    expect(reader.keptBytes).toBe(400);
    await reader.claim('a');
    await reader.claim('e');
    expect(reader.keptBytes).toBe(400);
    reads.length = 0;
    for (const name of ['a', 'c', 'd', 'e', 'b']) expect(await reader.claim(name)).toBe(text(100));
    expect(reads).toEqual(['b']);
  });

  it('does not keep a document that would displace all others', async () => {
    const { work } = memoryStorage();
    const reader = new DocumentReader(work, 400);
    await work.put('large', text(101));
    expect(await reader.claim('large')).toBe(text(101));
    reader.remember('other', text(101));
    expect(reader.keptBytes).toBe(0);
    reader.remember('one', text(50));
    reader.remember('one', text(60));
    expect(reader.keptBytes).toBe(60);
    reader.remember('runs/1/a', text(40));
    reader.forget('runs/1/');
    expect(reader.keptBytes).toBe(60);
  });
});
