import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { settingsOf } from '../../src/cli/dataverse-options.ts';
import { readSettings } from '../../src/config/settings.ts';
import { localSettings } from '../../src/local/local-settings.ts';

afterEach(() => vi.unstubAllEnvs());

test('a PostgreSQL of the environment is not the one of npm start, and not that of a command about a file', async () => {
  const appRoot = await mkdtemp(join(tmpdir(), 'local-settings-'));
  vi.stubEnv('POSTGRES_URL', 'postgresql://sync:a-password@db.example.net/crm');
  vi.stubEnv('POSTGRES_USER', 'admin');
  vi.stubEnv('SYNC_TARGET', 'postgres');
  const input = {
    ...{ appRoot, dataverseUrl: 'http://127.0.0.1:1', isSample: true, once: true, live: false },
    ...{ connectionString: 'UseDevelopmentStorage=true', entitiesFile: 'entities.json' },
    ...{ environmentsFile: '', environments: [] },
  };
  try {
    // As the host puts them over its own environment.
    const files = {
      ...process.env,
      ...(await localSettings({ ...input, target: { SYNC_TARGET: 'sqlite' } })),
    };
    expect(readSettings(files).postgres).toBeUndefined();
    const target = {
      SYNC_TARGET: 'postgres',
      POSTGRES_URL: 'postgresql://dataverse:other@127.0.0.1:1/dataverse',
    };
    const server = { ...process.env, ...(await localSettings({ ...input, target })) };
    expect(readSettings(server).postgres!.address).toMatchObject({ host: '127.0.0.1', user: 'dataverse' });
  } finally {
    await rm(appRoot, { recursive: true });
  }
  expect(settingsOf('https://contoso.crm.dynamics.com').postgres).toBeUndefined();
});
