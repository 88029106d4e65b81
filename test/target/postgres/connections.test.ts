import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import { ConfigurationError, RetriableError } from '../../../src/errors.ts';
import {
  Connections,
  type PostgresOptions,
  tlsOf,
} from '../../../src/target/postgres/connection/connections.ts';
import { entraPassword } from '../../../src/target/postgres/connection/entra-password.ts';
import { postgresError } from '../../../src/target/postgres/connection/postgres-errors.ts';
import { startPostgres, withClient } from '../../postgres.ts';
import { startPostgresProxy } from '../../postgres-proxy.ts';

let address: string;
let open: Connections[] = [];

beforeEach(async () => {
  address = await (await startPostgres()).createDatabase();
});
afterEach(async () => {
  for (const connections of open) await connections.close();
  open = [];
});

function connect(options: Partial<PostgresOptions> = {}, to = address): Connections {
  const connections = new Connections({ ...postgresAddress(to), ...options, schema: 'mirror' });
  open.push(connections);
  return connections;
}

const one = (connections: Connections): Promise<number> =>
  connections.read((session) => session.number('SELECT 1 AS one'));

describe('an identity', () => {
  const user = `identity_${randomBytes(4).toString('hex')}`;

  it('signs in with a token for each new connection', async () => {
    await withClient(address, (client) => client.query(`CREATE ROLE ${user} LOGIN PASSWORD 'the-token'`));
    const scopes: unknown[] = [];
    const credential = {
      getToken: async (scope: string | string[]) => {
        scopes.push(scope);
        return { token: 'the-token', expiresOnTimestamp: Date.now() + 60_000 };
      },
    };
    const connections = connect({ user, password: entraPassword(credential) });
    expect(await one(connections)).toBe(1);
    expect(await one(connections)).toBe(1);
    expect(scopes).toEqual(['https://ossrdbms-aad.database.windows.net/.default']);
    const secret = 'wrong-token';
    const expired = { getToken: async () => ({ token: secret, expiresOnTimestamp: 0 }) };
    const error = await one(connect({ user, password: entraPassword(expired) })).catch((reason) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(JSON.stringify([error.message, error.hint, String(error.cause)])).not.toContain(secret);
  });

  it('without a token is tried again later', async () => {
    const none = { getToken: () => Promise.reject(new Error('secret-in-a-request')) };
    const error = await one(connect({ user, password: entraPassword(none) })).catch((reason) => reason);
    expect(error).toBeInstanceOf(RetriableError);
    expect(JSON.stringify([error.message, error.hint, String(error.cause)])).not.toContain('secret');
  });
});

test('connections that leave the machine have verified TLS', () => {
  for (const host of ['/var/run', 'localhost', '127.0.0.1', '::1']) expect(tlsOf(host)).toBe(false);
  for (const host of ['db.postgres.database.azure.com', '10.0.0.4', 'localhost.example.net']) {
    expect(tlsOf(host)).toEqual({ rejectUnauthorized: true });
  }
});

test('a database that does not exist is a mistake in the configuration, and names it', async () => {
  const error = await one(connect({ database: 'absent' })).catch((reason) => reason);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error.message).toContain('absent');
});

test('a server that does not answer is tried again later', async () => {
  await expect(one(connect({ host: '127.0.0.1', port: 1 }))).rejects.toThrow(RetriableError);
});

test('a connection that was lost while nobody used it is replaced', async () => {
  const proxy = await startPostgresProxy(address);
  const connections = connect({}, proxy.address);
  expect(await one(connections)).toBe(1);
  let cuts = 0;
  proxy.onStatement = () => (cuts++ === 0 ? 'before' : undefined);
  expect(await one(connections)).toBe(1);
  expect(cuts).toBeGreaterThan(1);
  await connections.close();
  await proxy.stop();
});

test('a transaction leaves nothing behind on its connection', async () => {
  const connections = connect();
  const settings = [
    'lock_timeout',
    'statement_timeout',
    'idle_in_transaction_session_timeout',
    'TimeZone',
    'search_path',
  ];
  const shown = () =>
    connections.read(async (session) => {
      const values: unknown[] = [];
      for (const name of settings) values.push(await session.get(`SHOW ${name}`));
      const locks = await session.number(
        `SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`,
      );
      const temporary = await session.number(`SELECT count(*) AS n FROM pg_class WHERE relpersistence = 't'`);
      return {
        values,
        locks,
        temporary,
        prepared: await session.number('SELECT count(*) AS n FROM pg_prepared_statements'),
      };
    });
  const before = await shown();
  await connections.write(async (session, commit) => {
    await session.run('CREATE TEMP TABLE things (n integer) ON COMMIT DROP');
    await commit();
  });
  await connections.write(async () => undefined);
  await connections.write(() => Promise.reject(new Error('failed'))).catch(() => undefined);
  expect(await shown()).toEqual(before);
});

test('a read of a plain database takes none of the locks that are for clusters, not even the first', async () => {
  const connections = connect();
  let locks = 0;
  const first = async () => {
    locks += 1;
  };
  for (let n = 0; n < 2; n++) await connections.read((session) => session.number('SELECT 1 AS one'), first);
  expect(locks).toBe(0);
  await withClient(address, (client) =>
    client.query('SET allow_system_table_mods = on; CREATE TABLE pg_catalog.pg_dist_partition ()'),
  );
  const isOfCluster = await connect().read(async (session) => session.isOfCluster, first);
  expect([isOfCluster, locks]).toEqual([true, 1]);
});

test('a limit of the database for statements does not end those of the mirror', async () => {
  await withClient(address, async (client) => {
    const { rows } = await client.query('SELECT current_database() AS name');
    await client.query(`ALTER DATABASE ${rows[0].name} SET statement_timeout = '100ms'`);
  });
  const connections = connect();
  await connections.read((session) => session.run('SELECT pg_sleep(0.3)'));
  await connections.write(async (session, commit) => {
    await session.run('SELECT pg_sleep(0.3)');
    await commit();
  });
});

test('a merge has more memory than most servers give, and not less than this one', async () => {
  const memory = () => connect().write((session) => session.get('SHOW work_mem'));
  expect(await memory()).toEqual({ work_mem: '64MB' });
  await withClient(address, async (client) => {
    const { rows } = await client.query('SELECT current_database() AS name');
    await client.query(`ALTER DATABASE ${rows[0].name} SET work_mem = '100MB'`);
  });
  expect(await memory()).toEqual({ work_mem: '100MB' });
});

test('what changes a definition waits shortly, because readers wait behind it', async () => {
  const limits = await connect().write(async (session) => {
    const shown = () => session.get('SHOW lock_timeout');
    const before = await shown();
    await session.define(`SELECT set_config('mirror.seen', current_setting('lock_timeout'), true)`);
    return [
      before,
      await session.get(`SELECT current_setting('mirror.seen') AS lock_timeout`),
      await shown(),
    ];
  });
  expect(limits.map((one) => one!['lock_timeout'])).toEqual(['2min', '5s', '2min']);
});

describe('a failure', () => {
  const failed = (code: string) => Object.assign(new Error('failed'), { code });

  it.each([
    ['55P03', 'pg_stat_activity'],
    ['57014', 'cancelled'],
  ])('%s says what to do', (code, hint) => {
    const error = postgresError(failed(code), 'work on', 'account');
    expect(error).toBeInstanceOf(RetriableError);
    expect((error as RetriableError).hint).toContain(hint);
  });

  it('of a node of a cluster is one of the connection', () => {
    const lost = new Error('failure on connection marked as essential: 10.0.0.2:5432');
    const error = postgresError(Object.assign(lost, { code: 'XX000' }), 'work on', 'account');
    expect(error).toBeInstanceOf(RetriableError);
  });

  it('of this program is not one of the connection', async () => {
    const fault = new TypeError('x is not a function');
    expect(postgresError(fault, 'work on', 'account')).toBe(fault);
    const thrown = Object.assign(new TypeError('wrong'), { code: 'ERR_INVALID_ARG_TYPE' });
    const connections = connect();
    const work = connections.write(async (session) => {
      await session.run('CREATE TEMP TABLE copied (n integer) ON COMMIT DROP');
      await session.copy(
        'COPY copied FROM STDIN',
        (function* () {
          yield Buffer.from('1\n');
          throw thrown;
        })(),
      );
    });
    await expect(work).rejects.toBe(thrown);
  });
});
