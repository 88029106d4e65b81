import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import { ConfigurationError } from '../../../src/errors.ts';
import { MirrorQueries, type MirrorQuery } from '../../../src/target/postgres/query/mirror-query.ts';
import { startPostgres, withClient } from '../../postgres.ts';
import { Organisation } from '../../sync/organisation.ts';

/** The schema of the harness. */
const schema = 'mirror';

let org: Organisation;
let address: string;
let queries: MirrorQueries;

beforeAll(async () => {
  address = await (await startPostgres()).createDatabase();
  org = await Organisation.start(['account', 'contact'], {}, {}, undefined, address);
  await org.sync();
  await withClient(address, async (client) => {
    await client.query(
      `DO $$ BEGIN CREATE ROLE mirror_reader LOGIN PASSWORD 'read-only-1'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    );
    await client.query(`GRANT USAGE ON SCHEMA ${schema} TO mirror_reader`);
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO mirror_reader`);
  });
  queries = open('mirror_reader');
});
afterAll(async () => {
  await queries.close();
  await org.stop();
});

function open(user: string): MirrorQueries {
  return new MirrorQueries({ ...postgresAddress(address), user, password: 'read-only-1', schema });
}

/** With more time than usual: 600 MB take long on a slow machine. */
const run = (sql: string, options: Partial<MirrorQuery> = {}) =>
  queries.run({ sql, parameters: [], maxRows: 1000, maxText: 2000, whole: [], ...options }, 150);

describe('a query of a mirror in PostgreSQL', () => {
  it('brings rows with their names, numbers as numbers', async () => {
    const found = await run(
      'SELECT $1::integer AS a, NULL AS b, 9007199254740993::bigint AS c, 2::bigint AS d, 1.50 AS e',
      {
        parameters: [7],
      },
    );
    expect(found).toMatchObject({
      columns: ['a', 'b', 'c', 'd', 'e'],
      rows: [[7, null, '9007199254740993', 2, '1.50']],
      isCut: false,
    });
    const truth = await withClient(address, (client) =>
      client.query(`SELECT count(*) AS n FROM ${schema}.accounts`),
    );
    expect((await run('SELECT count(*) FROM accounts'))!.rows).toEqual([[Number(truth.rows[0].n)]]);
  });

  it.each([
    ['SELECT 1; ;\n', 1],
    ['SELECT 2; -- the end', 2],
    ['SELECT 3 -- the end', 3],
    ['SELECT 4; /* the\nend */ -- really', 4],
    ["SELECT ';--x'", ';--x'],
  ])('may end with a semicolon and comments: %j', async (sql, value) => {
    expect((await run(sql))!.rows).toEqual([[value]]);
  });

  it('is cut where its limits are', async () => {
    expect(await run('SELECT n FROM generate_series(1, 2000) n')).toMatchObject({
      isCut: true,
      rows: { length: 1000 },
    });
    expect(await run('SELECT n FROM generate_series(1, 1000) n')).toMatchObject({
      isCut: false,
      rows: { length: 1000 },
    });
    // A part of a number would be another number.
    const numbers = 'SELECT 123456789, -1234567, 0.1::float8 + 0.2::float8';
    expect((await run(numbers, { maxText: 3 }))!.rows).toEqual([[123456789, -1234567, 0.1 + 0.2]]);
    const long = "SELECT repeat('x', 5000) AS a, repeat('y', 5000) AS b";
    const [row] = (await run(long, { whole: ['b'] }))!.rows;
    expect(row!.map((cell) => String(cell).length)).toEqual([2001, 5000]);
    const large = await run("SELECT repeat('x', 1000000) FROM generate_series(1, 100)", {
      maxText: 1_000_000,
    });
    expect(large).toMatchObject({ isCut: true });
    expect(large!.rows.length).toBeLessThan(30);
  });

  it('sees the state that it names, or none', async () => {
    const { etag } = (await run('SELECT 1'))!;
    expect(await queries.etag()).toBe(etag);
    expect(await run('SELECT 1', { etag })).toBeDefined();
    org.store.create('account', { name: 'New' });
    await org.sync();
    expect(await run('SELECT 1', { etag })).toBeUndefined();
    expect((await run("SELECT count(*) FROM accounts WHERE name = 'New'"))!.rows).toEqual([[1]]);
  });

  it.each([
    ['a second statement', 'SELECT 1; SELECT 2', /cannot insert multiple commands/],
    [
      'a second statement after a semicolon in a comment',
      'SELECT 1 /*;*/; DELETE FROM accounts',
      /cannot insert multiple/,
    ],
    ['a write', 'DELETE FROM accounts', /syntax error|permission denied/],
    [
      'a write behind a SELECT',
      'WITH d AS (DELETE FROM accounts RETURNING *) SELECT * FROM d',
      /must not contain data-modifying|read-only|permission denied/,
    ],
    [
      'a way out of reading',
      "SELECT set_config('transaction_read_only', 'off', true)",
      /must be set before any query|cannot set transaction read-write/,
    ],
    ['another role', "SELECT set_config('role', 'postgres', true)", /permission denied/],
    ['a file of the server', "SELECT pg_read_file('/etc/passwd')", /permission denied/],
    ['a name that is not there', 'SELECT nothing FROM accounts', /column "nothing" does not exist/],
    ['no statement', '-- nothing', /syntax error/],
    [
      'an explanation, whose text can be as large as its constants',
      'EXPLAIN VERBOSE SELECT 1',
      /syntax error/,
    ],
    [
      'a statement for update',
      'SELECT * FROM accounts FOR UPDATE',
      /not allowed|permission denied|read-only/,
    ],
    ['too few parameters', 'SELECT $1::integer', /parameter/],
    ['a COPY', "COPY accounts TO '/tmp/x'", /syntax error|permission denied/],
  ])('refuses %s', async (_, sql, message) => {
    await expect(run(sql)).rejects.toThrow(message);
  });

  it('leaves no lock behind that keeps a sync waiting, and no setting', async () => {
    await run(`SELECT pg_advisory_lock(hashtextextended('dataverse mirror ${schema}', 0))`);
    await run("SELECT set_config('search_path', 'pg_catalog', false)");
    const { phase } = await org.sync();
    expect(phase).toBe('complete');
    expect((await run('SELECT count(*) > 0 FROM accounts'))!.rows).toEqual([['true']]);
  });

  it('keeps no sync waiting while it runs, whatever it locks', async () => {
    const lock = `pg_advisory_lock(hashtextextended('dataverse mirror ${schema}', 0))`;
    await withClient(address, async (client) => {
      await client.query('SELECT pg_advisory_lock(4711)');
      const holding = run(`SELECT ${lock}, pg_advisory_lock(4711)`);
      let isOver = false;
      const over = () => (isOver = true);
      holding.then(over, over);
      const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'mirror_reader' AND wait_event = 'advisory' AND datname = current_database()`;
      await expect.poll(async () => (await client.query(waiting)).rows[0].n).toBe(1);
      org.store.create('account', { name: 'Beside a query' });
      // A sync that waits for the query gives up before the query is ended.
      expect((await org.sync()).phase).toBe('complete');
      expect(isOver).toBe(false);
      await client.query('SELECT pg_advisory_unlock(4711)');
      await holding;
    });
    await expect(run('LOCK TABLE _sync_meta')).rejects.toThrow(/syntax error/);
  });

  it('has no more bytes as JSON than its limit and a row', async () => {
    for (const one of ['chr(1)', "'…'"]) {
      const large = await run(`SELECT repeat(${one}, 100000) FROM generate_series(1, 300)`, {
        maxText: 100_000,
      });
      expect(large!.isCut).toBe(true);
      expect(Buffer.byteLength(JSON.stringify(large))).toBeLessThan(25_000_000);
    }
  });

  it('needs little memory for a value of any size, and for values without any', async () => {
    // 600 MB: `repeat` copies its text each time, so few long ones are faster.
    const [row] = (await run("SELECT repeat(repeat('x', 60000), 10000) AS a"))!.rows;
    expect(String(row![0])).toHaveLength(2001);
    const columns = Array.from({ length: 1000 }, (_, n) => `'' AS c${n}`).join(', ');
    const many = await run(`SELECT ${columns} FROM generate_series(1, 100000)`, { maxRows: 100_000 });
    expect(many!.isCut).toBe(true);
    expect(many!.rows.length).toBeLessThan(10_000);
  });

  it('has no error that is too large for the app', async () => {
    const error = (length: number) =>
      run(`SELECT repeat(repeat('x', 1000), ${length / 1000})::integer`).then(() => '', String);
    expect((await error(3000)).length).toBeLessThan(2100);
    // Of 600 MB, it ended the process.
    expect(await error(80_000_000)).toMatch(/The server sent more about the query than is read/);
    expect((await run('SELECT 1'))!.rows).toEqual([[1]]);
  });

  it('is refused to a user who could change the mirror', async () => {
    const asOwner = open('postgres');
    const query = { sql: 'SELECT 1', parameters: [], maxRows: 1, maxText: 1, whole: [] };
    await expect(asOwner.run(query)).rejects.toThrow(ConfigurationError);
    await asOwner.close();
    await withClient(address, (client) =>
      client.query(`GRANT DELETE ON ${schema}.contacts TO mirror_reader`),
    );
    const another = open('mirror_reader');
    await expect(another.run(query)).rejects.toThrow(/could change the mirror/);
    await another.close();
    await withClient(address, (client) =>
      client.query(`REVOKE DELETE ON ${schema}.contacts FROM mirror_reader`),
    );
  });

  it.each([
    ['one long step', 'SELECT count(*) FROM generate_series(1, 100000000000)'],
    ['many short ones', 'SELECT pg_sleep(0.02) FROM generate_series(1, 1000)'],
    [
      'the limit of the server turned off',
      "SELECT set_config('statement_timeout', '0', false), pg_sleep(CASE WHEN n > 501 THEN 60 ELSE 0 END) FROM generate_series(1, 1000) n",
    ],
  ])('ends at its limit of time, at the server, too: %s', async (_, sql) => {
    const query = { sql, parameters: [], maxRows: 1000, maxText: 1, whole: [] };
    await expect(queries.run(query, 1)).rejects.toThrow('The query took too long');
    const running = async () =>
      (
        await withClient(address, (client) =>
          client.query(
            `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'mirror_reader' AND state = 'active'`,
          ),
        )
      ).rows[0].n;
    await expect.poll(running).toBe(0);
  });

  it('ends for the app also if its process at the server cannot be ended', async () => {
    await withClient(address, async (client) => {
      await client.query(
        `DO $$ BEGIN CREATE ROLE mirror_single LOGIN PASSWORD 'read-only-1' CONNECTION LIMIT 1; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
      );
      await client.query(`GRANT USAGE ON SCHEMA ${schema} TO mirror_single`);
      await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO mirror_single`);
      const single = open('mirror_single');
      const sql =
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(CASE WHEN n > 501 THEN 60 ELSE 0 END) FROM generate_series(1, 1000) n";
      const query = { sql, parameters: [], maxRows: 1000, maxText: 1, whole: [] };
      // Enough for a slow machine to come to the part that sleeps.
      await expect(single.run(query, 5)).rejects.toThrow('The query took too long');
      const { rows } = await client.query(
        "SELECT pg_terminate_backend(pid), state FROM pg_stat_activity WHERE usename = 'mirror_single'",
      );
      expect(rows).toMatchObject([{ state: 'active' }]);
      await single.close();
    });
  });

  it('waits for no other one: the sixth at a time is told so', async () => {
    const five = Array.from({ length: 5 }, () => run('SELECT pg_sleep(1)'));
    await expect(run('SELECT 1')).rejects.toThrow('5 queries run at the moment');
    expect(await queries.etag()).toBeDefined();
    await Promise.all(five);
    expect(await run('SELECT 1')).toBeDefined();
  });
});
