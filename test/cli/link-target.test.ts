import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { linkTarget } from '../../src/cli/link-target.ts';

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'link-target-')));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('leads where the system does, also through a linked folder to a file that does not exist yet', async () => {
  mkdirSync(join(folder, 'data', 'deep'), { recursive: true });
  mkdirSync(join(folder, 'work'));
  symlinkSync(join(folder, 'data', 'deep'), join(folder, 'work', 'linked'));
  symlinkSync('../my.db', join(folder, 'data', 'deep', 'link.db'));
  const path = join(folder, 'work', 'linked', 'link.db');
  const before = await linkTarget(path);
  writeFileSync(path, '');
  expect(realpathSync(path)).toBe(join(folder, 'data', 'my.db'));
  expect([before, await linkTarget(path)]).toEqual([realpathSync(path), realpathSync(path)]);
});
