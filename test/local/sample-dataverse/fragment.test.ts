import { randomBytes } from 'node:crypto';
import { crc32, gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { combineCrc32, Fragment, gzipped } from '../../../src/local/sample-dataverse/http/fragment.ts';

describe('fragments', () => {
  it('form one gzip member in any combination', async () => {
    const rows = new Fragment('{"name":"amber"},'.repeat(5000));
    for (const [head, tail] of [
      ['{"value":[', ']}'],
      ['', ''],
      ['{"a":"é","value":[', `${'x'.repeat(70_000)}]}`],
    ] as const) {
      const body = [new Fragment(head), rows, new Fragment(tail)];
      const packed = Buffer.concat(await gzipped(body));
      expect(gunzipSync(packed).toString()).toBe(head + rows.bytes.toString() + tail);
    }
  });

  it('have a combined CRC equal to that of the joined bytes', () => {
    for (const sizes of [
      [0, 0],
      [1, 0],
      [0, 1],
      [3, 100_003],
    ] as const) {
      const [a, b] = sizes.map((size) => randomBytes(size)) as [Buffer, Buffer];
      expect(combineCrc32(crc32(a), crc32(b), b.length)).toBe(crc32(Buffer.concat([a, b])));
    }
  });
});
