import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeFolder } from '../../../src/local/data-folder/make-folder.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'make-folder-'));
});
afterEach(() => rm(base, { recursive: true, force: true }));

it('creates the folder and its parents, or accepts an existing one', async () => {
  const folder = join(base, 'a/b/c');
  await Promise.all([makeFolder(folder), makeFolder(folder), makeFolder(join(base, 'a/d'))]);
  await makeFolder(folder);
  expect((await stat(folder)).isDirectory()).toBe(true);
  expect(existsSync(join(base, 'a/d'))).toBe(true);
});

it('fails if a file is in the way', async () => {
  await writeFile(join(base, 'file'), '');
  await expect(makeFolder(join(base, 'file'))).rejects.toThrow('EEXIST');
  await expect(makeFolder(join(base, 'file/below'))).rejects.toThrow(/ENOTDIR|ENOENT|EEXIST/);
});

it.skipIf(!existsSync('/proc/self'))('fails at once in a file system without new folders', async () => {
  await expect(makeFolder('/proc/nowhere')).rejects.toThrow('ENOENT');
  await expect(makeFolder('/proc/nowhere/at/all')).rejects.toThrow('ENOENT');
});
