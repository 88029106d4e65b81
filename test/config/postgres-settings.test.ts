import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { entitiesOf } from '../../src/config/entities.ts';
import { invalidSettings } from '../../src/config/invalid-settings.ts';
import { readSettings } from '../../src/config/settings.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const required = {
  DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
};
const read = (settings: Record<string, string>) => readSettings({ ...required, ...settings });
const url = 'postgresql://sync:a-long-password@crm.postgres.database.azure.com/crm';

const parts = { SYNC_TARGET: 'postgres', POSTGRES_HOST: 'h', POSTGRES_DATABASE: 'd', POSTGRES_USER: 'u' };

describe('SYNC_TARGET=postgres', () => {
  it.each([
    [undefined, undefined],
    ['off', undefined],
    ['false', undefined],
    ['on', 100_000],
    ['True', 100_000],
    ['5000', 5000],
  ])('POSTGRES_DISTRIBUTE=%s distributes tables of %s rows', (given, rows) => {
    const settings = read({ ...parts, ...(given !== undefined && { POSTGRES_DISTRIBUTE: given }) });
    expect(settings.postgres!.distributeRows).toBe(rows);
  });

  it('is a URL, or the parts of an address for an identity', () => {
    expect(read({}).postgres).toBeUndefined();
    expect(read({ SYNC_TARGET: 'postgres', POSTGRES_URL: url, POSTGRES_READER_URL: url }).postgres).toEqual({
      address: {
        host: 'crm.postgres.database.azure.com',
        port: 5432,
        database: 'crm',
        user: 'sync',
        password: 'a-long-password',
      },
      schema: 'dataverse',
      reader: expect.objectContaining({ user: 'sync' }),
    });
    expect(
      read({
        SYNC_TARGET: 'postgres',
        POSTGRES_HOST: 'crm.postgres.database.azure.com',
        POSTGRES_DATABASE: 'crm',
        POSTGRES_USER: 'func-dataverse',
        POSTGRES_CLIENT_ID: 'c0ffee00-0000-4000-8000-000000000000',
        POSTGRES_SCHEMA: 'Mirror of "CRM"',
      }).postgres,
    ).toEqual({
      address: {
        host: 'crm.postgres.database.azure.com',
        port: 5432,
        database: 'crm',
        user: 'func-dataverse',
      },
      schema: 'Mirror of "CRM"',
      clientId: 'c0ffee00-0000-4000-8000-000000000000',
    });
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ SYNC_TARGET: 'postgres' }, /set POSTGRES_URL, or POSTGRES_HOST, POSTGRES_DATABASE and POSTGRES_USER/],
    [{ SYNC_TARGET: 'postgres', POSTGRES_HOST: 'h', POSTGRES_USER: 'u' }, /POSTGRES_DATABASE is missing/],
    [{ SYNC_TARGET: 'postgres', POSTGRES_URL: url, POSTGRES_HOST: 'h' }, /exclude each other/],
    [
      { SYNC_TARGET: 'postgres', POSTGRES_URL: 'a-long-password' },
      /POSTGRES_URL cannot be used: it is not a URL/,
    ],
    [
      { SYNC_TARGET: 'postgres', POSTGRES_URL: url, POSTGRES_READER_URL: 'x' },
      /POSTGRES_READER_URL cannot be used/,
    ],
    [{ SYNC_TARGET: 'postgres', POSTGRES_URL: `${url}?sslmode=disable` }, /always verified/],
    [
      { SYNC_TARGET: 'postgres', POSTGRES_URL: url, POSTGRES_SCHEMA: 'pg_catalog' },
      /POSTGRES_SCHEMA: must be/,
    ],
    [
      { SYNC_TARGET: 'postgres', POSTGRES_URL: url, POSTGRES_SCHEMA: 'ä'.repeat(32) },
      /POSTGRES_SCHEMA: must be/,
    ],
    [{ SYNC_TARGET: 'mysql' }, /SYNC_TARGET/],
    [{ ...parts, POSTGRES_DISTRIBUTE: '0' }, /POSTGRES_DISTRIBUTE: must be off, on, or a number of rows/],
    [{ ...parts, POSTGRES_HOST: url }, /POSTGRES_HOST: must be/],
    [{ ...parts, POSTGRES_HOST: 'server:5432' }, /POSTGRES_HOST: must be/],
    // Hexadecimal digits alone do not make an address.
    [{ ...parts, POSTGRES_HOST: 'db:5432' }, /POSTGRES_HOST: must be/],
    [{ ...parts, POSTGRES_USER: url }, /POSTGRES_USER: must be one part/],
    [{ ...parts, POSTGRES_DATABASE: url }, /POSTGRES_DATABASE: must be one part/],
    [{ ...parts, POSTGRES_SCHEMA: 'postgresql://a:a-long-password@b/c' }, /POSTGRES_SCHEMA: must be/],
    [
      { SYNC_TARGET: 'postgres', POSTGRES_URL: 'postgresql://u:12@a-long-password/x@host/db' },
      /write one in a name or a password as %40/,
    ],
    [{ POSTGRES_URL: url }, /POSTGRES_URL is set, but SYNC_TARGET is not postgres/],
  ])('names what is wrong with %j', (settings, message) => {
    const env = { ...required, SYNC_SCHEDULE: '0 0 * * * *', ...settings };
    expect(() => readSettings(env)).toThrow(message);
    const { faults } = invalidSettings(env);
    expect(faults.join(' ')).toMatch(message);
    expect(faults.join(' ')).not.toContain('a-long-password');
  });

  it('has no database files', () => {
    const file = join(temporaryFolder(), 'entities.json');
    writeFileSync(file, JSON.stringify([{ name: 'account', database: 'sales' }]));
    const settings = { SYNC_ENTITIES_FILE: file };
    expect(entitiesOf(read(settings))).toHaveLength(1);
    const inPostgres = read({ ...settings, SYNC_TARGET: 'postgres', POSTGRES_URL: url });
    expect(() => entitiesOf(inPostgres)).toThrow(/account is to be in the database file sales/);
  });
});
