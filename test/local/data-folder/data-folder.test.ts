import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDataFolder } from '../../../src/local/data-folder/data-folder.ts';
import { replaceText } from '../../../src/local/data-folder/private-file.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'data-folder-'));
});
afterEach(() => rm(base, { recursive: true, force: true }));

const modeOf = async (path: string): Promise<number> => (await lstat(path)).mode & 0o777;

test('the data folder and what earlier versions left in it become private', async () => {
  const folder = join(base, 'data');
  await mkdir(join(folder, '__blobstorage__'), { recursive: true });
  await writeFile(join(folder, '__blobstorage__', 'extent'), 'rows');
  await Promise.all([
    chmod(folder, 0o755),
    chmod(join(folder, '__blobstorage__'), 0o755),
    chmod(join(folder, '__blobstorage__', 'extent'), 0o644),
  ]);
  (await openDataFolder(folder)).release();
  expect(await modeOf(folder)).toBe(0o700);
  expect(await modeOf(join(folder, '__blobstorage__'))).toBe(0o700);
  expect(await modeOf(join(folder, '__blobstorage__', 'extent'))).toBe(0o600);
  expect(await modeOf(join(folder, 'lock'))).toBe(0o600);
});

test('a new data folder is private, with the folders above it that did not exist', async () => {
  (await openDataFolder(join(base, 'a', 'b'))).release();
  expect([await modeOf(join(base, 'a')), await modeOf(join(base, 'a', 'b'))]).toEqual([0o700, 0o700]);
});

test.each(['lock', 'writable', 'local.json', 'functions.log', '__azurite_db_blob__.json'])(
  'a symbolic link named %s in the data folder leads no write elsewhere',
  async (name) => {
    const folder = join(base, 'data');
    const victim = join(base, 'victim');
    await mkdir(folder);
    await writeFile(victim, 'content');
    await symlink(victim, join(folder, name));
    const opened = openDataFolder(folder);
    // The check whether the folder is writable replaces the link.
    if (name === 'writable') (await opened).release();
    else
      await expect(opened).rejects.toMatchObject({
        object: join(folder, name),
        hint: expect.stringContaining('Delete'),
      });
    expect(await readFile(victim, 'utf8')).toBe('content');
  },
);

test('a replaced file is private, and a link in its place is replaced', async () => {
  const file = join(base, 'file');
  const victim = join(base, 'victim');
  await writeFile(victim, 'content');
  await symlink(victim, file);
  await replaceText(file, 'new');
  expect(await readFile(file, 'utf8')).toBe('new');
  expect(await readFile(victim, 'utf8')).toBe('content');
  expect(await modeOf(file)).toBe(0o600);
  await chmod(file, 0o644);
  await replaceText(file, 'newer');
  expect(await modeOf(file)).toBe(0o600);
  expect((await readdir(base)).sort()).toEqual(['file', 'victim']);
});

test('a file that cannot be written leaves no trace', async () => {
  await mkdir(join(base, 'file'));
  await expect(replaceText(join(base, 'file'), 'new')).rejects.toThrow();
  expect(await readdir(base)).toEqual(['file']);
});

test('a folder with other contents stays as it is, and what is written into it is private', async () => {
  const tool = join(base, 'tool');
  await writeFile(tool, '');
  await Promise.all([chmod(tool, 0o755), chmod(base, 0o755)]);
  const folder = await openDataFolder(base);
  expect(folder.warnings).toEqual([]);
  folder.release();
  expect([await modeOf(base), await modeOf(tool)]).toEqual([0o755, 0o755]);
  expect(await modeOf(join(base, 'lock'))).toBe(0o600);
  await chmod(base, 0o777);
  const shared = await openDataFolder(base);
  expect(shared.warnings).toEqual([`Other users of this machine may write to the data folder ${base}.`]);
  shared.release();
});

test('a data folder that was used with other contents before stays usable, and only its own files become private', async () => {
  for (const name of ['tool', 'local.json']) await writeFile(join(base, name), '');
  await Promise.all(['', 'tool', 'local.json'].map((name) => chmod(join(base, name), 0o755)));
  (await openDataFolder(base)).release();
  expect(await modeOf(join(base, 'local.json'))).toBe(0o600);
  expect([await modeOf(base), await modeOf(join(base, 'tool'))]).toEqual([0o755, 0o755]);
});

test('a new volume may have a folder of its file system', async () => {
  await mkdir(join(base, 'lost+found'));
  const folder = await openDataFolder(base);
  expect(folder.warnings).toEqual([]);
  folder.release();
});
