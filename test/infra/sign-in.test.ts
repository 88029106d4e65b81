import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rows, section } from '../docs/pages.ts';
import { root } from './infrastructure.ts';

/** Every HTTP function with its route, and what it asks for where people sign in: a sign-in, a key, or neither. */
const routes = globSync('src/functions/**/*.ts', { cwd: root }).flatMap((path) => {
  const text = readFileSync(join(root, path), 'utf8');
  const route = /registerHttp\('\w+', '([^']+)'/.exec(text)?.[1];
  const hasSignIn = text.includes('isOfPages: true');
  const hasKey = !hasSignIn && !text.includes("'anonymous'");
  return route === undefined ? [] : [{ path: `/api/${route}`, hasSignIn, hasKey }];
});

it('docs/deployment.md says which route asks for what', () => {
  const table = rows(section('docs/deployment.md', 'Sign-in for pages'));
  const said = (path: string) =>
    table.find(([cell]) =>
      [...cell!.matchAll(/`(?:\w+ )?([^`]+)`/g)].some(([, one]) =>
        one!.endsWith('…') ? path.startsWith(one!.slice(0, -1)) : one === path.replace('/{runId?}', ''),
      ),
    );
  expect(routes.filter(({ hasSignIn }) => hasSignIn)).toHaveLength(7);
  for (const { path, hasSignIn, hasKey } of routes)
    expect(said(path)?.slice(1), path).toEqual([hasSignIn ? 'yes' : 'no', hasKey ? 'yes' : 'no']);
});
