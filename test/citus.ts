import { randomBytes } from 'node:crypto';
import { addressIn, startPostgres, withClient } from './postgres.ts';

/**
 * A database of a cluster.
 *
 * npm and Debian have no Citus, so it is PostgreSQL with stand-ins for what the sync calls, which note what they are told,
 * and refuse what Citus refuses of a distributed table: another key, and another type of the key. They know nothing of
 * joins: see docs/postgres-on-citus.md for what was tried with Citus itself. Those who have Citus name the nodes in
 * TEST_CITUS, as the folders of their sockets and their hosts: `/run/one=10.0.0.1,/run/two=10.0.0.2`.
 * @returns its connection string
 */
export async function createCluster(): Promise<string> {
  const nodes = process.env['TEST_CITUS']?.split(',').map((node) => node.split('='));
  if (nodes === undefined) {
    const address = await (await startPostgres()).createDatabase();
    await withClient(address, (client) => client.query(standIns));
    return address;
  }
  const name = `test_${randomBytes(6).toString('hex')}`;
  for (const [folder] of nodes) {
    await withClient(addressIn(folder!), (client) => client.query(`CREATE DATABASE ${name}`));
    await withClient(addressIn(folder!, name), (client) => client.query('CREATE EXTENSION citus'));
  }
  const [[folder, host] = [], ...others] = nodes;
  const address = addressIn(folder!, name);
  await withClient(address, async (client) => {
    await client.query('SELECT citus_set_coordinator_host($1)', [host]);
    for (const [, other] of others) await client.query('SELECT citus_add_node($1, 5432)', [other]);
    await client.query(`SELECT citus_set_node_property($1, 5432, 'shouldhaveshards', true)`, [host]);
  });
  return address;
}

const standIns = `
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (
  logicalrelid regclass PRIMARY KEY, partmethod "char" NOT NULL, partkey text, colocationid integer NOT NULL,
  repmodel "char" NOT NULL, key_type text);
CREATE FUNCTION pg_catalog.key_type(t regclass, k text) RETURNS text LANGUAGE sql AS $$
  SELECT a.atttypid::regtype::text FROM pg_attribute a JOIN pg_constraint c ON c.conrelid = a.attrelid AND c.contype = 'p'
  WHERE a.attrelid = t AND a.attname = k AND a.attnum = ANY (c.conkey) $$;
CREATE FUNCTION pg_catalog.refuse_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (to_jsonb(OLD) -> TG_ARGV[0]) <> (to_jsonb(NEW) -> TG_ARGV[0]) THEN
    RAISE 'modifying the partition value of rows is not allowed' USING ERRCODE = '0A000';
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION pg_catalog.create_distributed_table(t regclass, k text, colocate_with text DEFAULT 'default')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE type text := key_type(t, k); beside text;
BEGIN
  IF EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = t) THEN RAISE 'table % is already distributed', t; END IF;
  IF type IS NULL THEN RAISE 'cannot create constraint on %: it must include the distribution column', t; END IF;
  IF colocate_with <> 'default' THEN
    SELECT key_type INTO beside FROM pg_dist_partition WHERE logicalrelid = colocate_with::regclass AND partmethod = 'h';
    IF beside IS DISTINCT FROM type THEN RAISE 'cannot colocate tables % and %', t, colocate_with; END IF;
  END IF;
  INSERT INTO pg_dist_partition VALUES (t, 'h', k, 2, 's', type);
  EXECUTE format('CREATE TRIGGER refuse_key BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION pg_catalog.refuse_key(%L)', t, k);
END $$;
CREATE FUNCTION pg_catalog.create_reference_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = t) THEN RAISE 'table % is already distributed', t; END IF;
  INSERT INTO pg_dist_partition VALUES (t, 'n', NULL, 1, 't', NULL);
END $$;
CREATE FUNCTION pg_catalog.undistribute_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM pg_dist_partition WHERE logicalrelid = t;
  IF NOT FOUND THEN RAISE 'cannot undistribute table % because it is not distributed', t; END IF;
  EXECUTE format('DROP TRIGGER IF EXISTS refuse_key ON %s', t);
  -- Citus makes another table of it, which has no comments, and its views anew, which have no grants.
  DELETE FROM pg_description WHERE objoid = t;
  UPDATE pg_class SET relacl = NULL WHERE relkind = 'v' AND oid IN (
    SELECT r.ev_class FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid WHERE d.refobjid = t);
END $$;
CREATE FUNCTION pg_catalog.truncate_local_data_after_distributing_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = t) THEN RAISE '% is not distributed', t; END IF;
END $$;
CREATE TABLE pg_catalog.pg_dist_transaction (groupid integer NOT NULL, gid text NOT NULL);
-- What the other nodes answer, one after the other.
CREATE TABLE pg_catalog.answers (place integer GENERATED ALWAYS AS IDENTITY, success boolean NOT NULL, result text NOT NULL);
CREATE FUNCTION pg_catalog.run_command_on_workers(command text)
RETURNS TABLE (nodename text, nodeport integer, success boolean, result text) LANGUAGE sql AS $$
  WITH next AS (DELETE FROM answers WHERE place = (SELECT min(place) FROM answers) RETURNING *)
  SELECT 'other', 5432, n.success, n.result FROM next n $$;
CREATE FUNCTION pg_catalog.citus_total_relation_size(t regclass, fail_on_error boolean DEFAULT true)
RETURNS bigint LANGUAGE sql AS 'SELECT pg_total_relation_size(t)';
CREATE FUNCTION pg_catalog.refuse_definition() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE one record;
BEGIN
  FOR one IN SELECT d.* FROM pg_dist_partition d JOIN pg_class c ON c.oid = d.logicalrelid WHERE partmethod = 'h' LOOP
    IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = one.logicalrelid AND attname = one.partkey) THEN
      -- Renamed, which Citus allows.
      CONTINUE;
    END IF;
    IF one.key_type IS DISTINCT FROM key_type(one.logicalrelid, one.partkey) THEN
      RAISE 'cannot execute ALTER TABLE command involving partition column' USING ERRCODE = '0A000';
    END IF;
  END LOOP;
END $$;
CREATE EVENT TRIGGER refuse_definition ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
  EXECUTE FUNCTION pg_catalog.refuse_definition();
`;
