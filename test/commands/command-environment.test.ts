import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandEnvironment } from '../../src/commands/command-environment.ts';
import { ConfigurationError } from '../../src/errors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'command-'));
  const sales = {
    DATAVERSE_URL: 'https://sales.crm4.dynamics.com',
    DATAVERSE_CLIENT_SECRET: '%SALES_SECRET%',
  };
  writeFileSync(
    join(folder, 'environments.json'),
    JSON.stringify({ environments: { sales, wrong: { SYNC_SLICE: 1 } } }),
  );
  const Values = {
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    DATAVERSE_URL: 'https://main.crm4.dynamics.com',
    SYNC_ENVIRONMENTS_FILE: 'environments.json',
    SALES_SECRET: 'of the file',
  };
  writeFileSync(join(folder, 'local.settings.json'), JSON.stringify({ Values }));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a command works with the environment of the app settings, or with the one it is told', () => {
  const env = { SALES_SECRET: 'of the shell' };
  expect(commandEnvironment({ folder, env })).toMatchObject({
    DATAVERSE_URL: 'https://main.crm4.dynamics.com',
  });
  expect(commandEnvironment({ folder, env, environment: 'sales' })).toMatchObject({
    DATAVERSE_URL: 'https://sales.crm4.dynamics.com',
    DATAVERSE_CLIENT_SECRET: 'of the shell',
    SYNC_WORK_CONTAINER: 'sync-work-sales',
  });
});

test.each([
  ['wrong', {}, /SYNC_SLICE.*The environments are sales\./],
  ['nothing', {}, /The environments are sales\./],
  ['sales', { SYNC_ENVIRONMENTS_FILE: ' ' }, /SYNC_ENVIRONMENTS_FILE is not set/],
])('there is no environment %s', (environment, env, hint) => {
  const read = () => commandEnvironment({ folder, env: { SALES_SECRET: 's', ...env }, environment });
  expect(read).toThrow(ConfigurationError);
  expect(read).toThrow(`There is no environment ${environment}.`);
  try {
    read();
  } catch (error) {
    expect((error as ConfigurationError).hint).toMatch(hint);
  }
});
