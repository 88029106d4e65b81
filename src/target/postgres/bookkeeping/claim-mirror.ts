import { ConfigurationError } from '../../../errors.ts';
import type { Session } from '../connection/session.ts';
import { readMeta, writeMeta } from './bookkeeping-tables.ts';

const name = 'app';

/**
 * Makes sure that no other app writes this mirror: the rows of two environments in one schema would displace each other.
 * Call it while no other writer works on the mirror.
 * @param app tells it from others
 * @throws ConfigurationError
 */
export async function claimMirror(session: Session, app: string): Promise<void> {
  const owner = await readMeta(session, name);
  if (owner === undefined) return writeMeta(session, name, app);
  if (owner === app) return;
  const sql = `DELETE FROM ${session.name('_sync_meta')} WHERE name = '${name}'`;
  throw new ConfigurationError(
    `The mirror in the schema ${session.schema} is that of the app ${owner}, not of ${app}.`,
    {
      operation: 'write to',
      object: session.schema,
      hint: `Give each app a schema of its own with POSTGRES_SCHEMA. If ${app} is to take the place of ${owner}, stop that one, and run: ${sql};`,
    },
  );
}
