import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { commandEnvironment } from '../../src/commands/command-environment.ts';

const folder = mkdtempSync(join(tmpdir(), 'running-'));
afterAll(() => rmSync(folder, { recursive: true }));

function app(name: string, pid: number): string {
  const data = join(folder, '.data', name);
  mkdirSync(data, { recursive: true });
  const settings = { DATAVERSE_URL: `http://127.0.0.1/${name}` };
  writeFileSync(join(data, 'running.json'), JSON.stringify({ pid, settings }));
  return data;
}

it('uses the npm start that runs, unless something else is configured', () => {
  expect(commandEnvironment({ folder, env: {} })).toEqual({});
  // No process has this id: it is beyond the largest of any system.
  const killed = app('killed', 2 ** 30);
  expect(commandEnvironment({ folder, env: {} })).toEqual({});
  app('sample', process.pid);
  expect(commandEnvironment({ folder, env: { A: '1' } })).toEqual({
    A: '1',
    DATAVERSE_URL: 'http://127.0.0.1/sample',
  });
  const own = { DATAVERSE_URL: 'https://contoso.crm.dynamics.com' };
  expect(commandEnvironment({ folder, env: own })).toEqual(own);
  expect(() => commandEnvironment({ folder, env: {}, data: killed })).toThrow('No npm start is running');

  const other = app('other', process.pid);
  expect(() => commandEnvironment({ folder, env: {} })).toThrow(
    'Several npm start are running: .data/other, .data/sample.',
  );
  expect(commandEnvironment({ folder, env: own, data: other })).toEqual({
    DATAVERSE_URL: 'http://127.0.0.1/other',
  });
});
