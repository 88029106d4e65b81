import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rows, section } from '../docs/pages.ts';
import { at, plan, root, variants } from './infrastructure.ts';

/** Every HTTP function with its route, its methods and whether it asks for a key. */
const routes = globSync('src/functions/**/*.ts', { cwd: root }).flatMap((path) => {
  const text = readFileSync(join(root, path), 'utf8');
  const route = /\broute: '([^']+)'/.exec(text)?.[1];
  return route === undefined ? [] : [{ path: `/api/${route}`, hasKey: !text.includes("'anonymous'") }];
});

const signIn = plan(variants.at(-1)!)
  .all('Microsoft.Web/sites/config')
  .find(({ names }) => names[1] === 'authsettingsV2')!;
const excluded = at(signIn, 'properties.globalValidation.excludedPaths') as string[];
const isExcluded = (path: string): boolean =>
  excluded.some((one) => (one.endsWith('*') ? path.startsWith(one.slice(0, -1)) : path === one));

it('pages ask for a sign-in, and so does what has their path; programs with a key pass', () => {
  const paths = routes.map(({ path }) => path);
  expect(paths).toContain('/api/metrics/campaign');
  expect([...new Set(paths.filter((path) => !isExcluded(path)))].sort()).toEqual([
    '/api/assets/{name}',
    '/api/dashboard/{page?}/{item?}',
    '/api/database',
    '/api/pages/{page?}/{item?}',
    '/api/schema',
    '/api/sync/{runId?}',
    '/api/verify',
  ]);
});

it('every excluded path is that of a route', () => {
  for (const one of excluded)
    expect(
      routes.filter(({ path }) => path.startsWith(one.replace(/\*$/, ''))),
      one,
    ).not.toEqual([]);
});

it('docs/deployment.md says which route asks for what', () => {
  const table = rows(section('docs/deployment.md', 'Sign-in for pages'));
  const said = (path: string) =>
    table.find(([cell]) =>
      [...cell!.matchAll(/`(?:\w+ )?([^`]+)`/g)].some(([, one]) =>
        one!.endsWith('…') ? path.startsWith(one!.slice(0, -1)) : one === path.replace('/{runId?}', ''),
      ),
    );
  for (const { path, hasKey } of routes)
    expect(said(path)?.slice(1), path).toEqual([isExcluded(path) ? 'no' : 'yes', hasKey ? 'yes' : 'no']);
});
