import { beforeAll, expect, it } from 'vitest';
import { runChecks } from '../../src/check/check.ts';
import { postgresChecks } from '../../src/check/postgres-checks.ts';
import { postgresAddress } from '../../src/config/postgres/postgres-address.ts';
import type { PostgresSettings } from '../../src/config/postgres/postgres-settings.ts';
import { createCluster } from '../citus.ts';
import { startPostgres, withClient } from '../postgres.ts';

let text: string;
beforeAll(async () => {
  text = await (await startPostgres()).createDatabase();
  await withClient(text, async (client) => {
    for (const role of ['check_owner', 'check_reader']) {
      await client.query(
        `DO $$ BEGIN CREATE ROLE ${role} LOGIN PASSWORD 'check-password'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
      );
    }
  });
});

const check = async (changes: Partial<PostgresSettings> = {}) => {
  const address = { ...postgresAddress(text), user: 'check_owner', password: 'check-password' };
  const reader = { ...address, user: 'check_reader' };
  return runChecks(postgresChecks({ address, schema: 'probe', reader, ...changes }), 20_000);
};

it('says what is missing, and leaves nothing behind', async () => {
  const refused = await check();
  expect(refused[0]).toMatchObject({ ok: false, detail: expect.stringContaining('42501') });
  await withClient(text, (client) => client.query('CREATE SCHEMA probe AUTHORIZATION check_owner'));
  expect((await check())[1]).toMatchObject({ ok: false, hint: expect.stringContaining('GRANT USAGE') });
  await withClient(text, (client) => client.query('GRANT USAGE ON SCHEMA probe TO check_reader'));
  const [server, readers] = await check();
  expect(server).toMatchObject({
    ok: true,
    detail: expect.stringContaining('check_owner can create tables'),
  });
  expect(readers).toMatchObject({ ok: true, detail: expect.stringContaining('There is no mirror yet') });
  const { rows } = await withClient(text, (client) =>
    client.query(`SELECT count(*)::int AS n FROM pg_class WHERE relnamespace = 'probe'::regnamespace`),
  );
  expect(rows).toEqual([{ n: 0 }]);
});

it('says whether tables can be distributed', async () => {
  const [alone] = await check({ schema: 'probe', distributeRows: 1000 });
  expect(alone).toMatchObject({ ok: false, hint: expect.stringContaining('CREATE EXTENSION citus') });
  const cluster = await createCluster();
  const [found] = await check({ address: postgresAddress(cluster), distributeRows: 1000 });
  expect(found).toMatchObject({
    ok: true,
    detail: expect.stringContaining('distribute those with 1000 rows'),
  });
  const { rows } = await withClient(cluster, (client) =>
    client.query('SELECT logicalrelid FROM pg_dist_partition'),
  );
  expect(rows).toEqual([]);
});

it('names a wrong password, a server that is not there, and a reader who could write', async () => {
  const address = { ...postgresAddress(text), user: 'check_owner', password: 'another-password' };
  const [wrong] = await check({ address });
  expect(wrong).toMatchObject({ ok: false, hint: expect.stringContaining('password') });
  expect(JSON.stringify(wrong)).not.toContain('another-password');
  const [absent] = await check({ address: { ...address, host: '127.0.0.1', port: 1 } });
  expect(absent).toMatchObject({ ok: false, hint: expect.stringContaining('server runs') });
  const [, reader] = await check({ reader: { ...address, password: 'check-password' } });
  expect(reader).toMatchObject({ ok: false, detail: expect.stringContaining('could change the mirror') });
  const [, none] = await check({ reader: undefined });
  expect(none).toMatchObject({ ok: true, detail: expect.stringContaining('not set') });
});
