import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** What npm installs, and what of it is deployed: sources, licences, scripts. */

const root = resolve(import.meta.dirname, '..');
const readJson = <T>(path: string): T => JSON.parse(readFileSync(resolve(root, path), 'utf8')) as T;

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}
interface LockedPackage extends Manifest {
  version: string;
  resolved?: string;
  integrity?: string;
  license?: string;
  link?: boolean;
  dev?: boolean;
  devOptional?: boolean;
  hasInstallScript?: boolean;
}

const manifest = readJson<Manifest & { allowScripts: Record<string, boolean> }>('package.json');
const { packages: all } = readJson<{ packages: Record<string, LockedPackage> }>('package-lock.json');
const packages = Object.entries(all).filter(([path]) => path !== '');

/** The path of a dependency in the lock file, found as Node.js finds a module: the nearest `node_modules` first. */
function pathOf(name: string, from: string): string | undefined {
  for (let folder = from; ; ) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (path in all) return path;
    if (folder === '') return undefined;
    const at = folder.lastIndexOf('/node_modules/');
    folder = at < 0 ? '' : folder.slice(0, at);
  }
}

/** Everything that `npm ci --omit=dev` installs. */
function deployed(): string[] {
  const found = new Set<string>();
  const visit = (from: string, names: Iterable<string>): void => {
    for (const name of names) {
      const path = pathOf(name, from);
      if (path === undefined || found.has(path)) continue;
      found.add(path);
      const { dependencies, optionalDependencies, peerDependencies } = all[path]!;
      visit(path, Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }));
    }
  };
  visit('', Object.keys(manifest.dependencies!));
  return [...found].sort();
}

/** They ask for no more than the notice that the package itself contains. */
const permissive = ['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', '0BSD', 'BlueOak-1.0.0'];
/** Also acceptable for tools, which are not passed on. */
const forTools = [...permissive, 'MPL-2.0'];
/** Packages whose manifest gives an address instead of an SPDX identifier. Somebody has read what is there. */
const readByHand: Record<string, string> = {
  // Its README says: public domain.
  'node_modules/uri-templates': 'http://geraintluff.github.io/tv4/LICENSE.txt',
};

/** Whether an SPDX expression allows the use: of alternatives one suffices, of a conjunction all must. */
function isAllowed(licence: string | undefined, allowed: readonly string[]): boolean {
  return (licence ?? '')
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((one) => allowed.includes(one.trim())));
}

describe('the lock file', () => {
  it('has a checksum for every package, so that no registry can replace one', () => {
    const without = packages.filter(
      ([, { integrity, link }]) => !link && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
    );
    expect(without.map(([path]) => path)).toEqual([]);
  });

  it('leads to no address but the registry of npm', () => {
    const elsewhere = packages.filter(
      ([, { resolved, link }]) =>
        resolved !== undefined && !link && !resolved.startsWith('https://registry.npmjs.org/'),
    );
    expect(elsewhere.map(([path, { resolved }]) => `${path}: ${resolved}`)).toEqual([]);
  });

  it('has the dependencies of package.json', () => {
    const { dependencies, devDependencies } = all['']!;
    expect({ dependencies, devDependencies }).toEqual({
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
    });
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      expect(all[`node_modules/${name}`]?.version, name).toBe(version);
    }
  });

  it('lists each package with an install script in allowScripts, and no other', () => {
    const withScript = packages.filter(([, { hasInstallScript }]) => hasInstallScript);
    const names = withScript.map(([path]) => path.replace(/^.*node_modules\//, ''));
    expect([...new Set(names)].sort()).toEqual(Object.keys(manifest.allowScripts).sort());
  });

  it('lets no script of a deployed package run', () => {
    const allowed = Object.entries(manifest.allowScripts).filter(([, isOn]) => isOn);
    expect(allowed.filter(([name]) => deployed().includes(`node_modules/${name}`))).toEqual([]);
  });
});

describe('licences', () => {
  it('of what is deployed are permissive', () => {
    const paths = deployed();
    // The walk has found more than the direct dependencies.
    expect(paths).toEqual(expect.arrayContaining(['node_modules/@azure/core-util', 'node_modules/tslib']));
    const others = paths.filter((path) => !isAllowed(all[path]!.license, permissive));
    expect(others.map((path) => `${path}: ${all[path]!.license}`)).toEqual([]);
  });

  it('of tools are known', () => {
    const others = packages.filter(
      ([path, { license, link }]) => !link && !isAllowed(license, forTools) && readByHand[path] !== license,
    );
    expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
  });

  it('with alternatives and conjunctions are read', () => {
    expect(isAllowed('(GPL-3.0 OR MIT)', permissive)).toBe(true);
    expect(isAllowed('MIT AND GPL-3.0', permissive)).toBe(false);
    expect(isAllowed('MPL-2.0', permissive)).toBe(false);
    expect(isAllowed(undefined, forTools)).toBe(false);
  });
});

it('npm and the walk above agree on what is deployed', () => {
  const reached = new Set(deployed());
  const disagreed = packages.filter(([path, { dev, devOptional }]) =>
    reached.has(path) ? dev : !dev && !devOptional,
  );
  expect(disagreed.map(([path]) => path)).toEqual([]);
});
