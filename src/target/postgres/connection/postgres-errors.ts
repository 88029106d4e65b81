import {
  ConfigurationError,
  ConflictError,
  RetriableError,
  SkipTableError,
  SyncError,
} from '../../../errors.ts';

/** postgresql.org: PostgreSQL Error Codes. */
const conflicts = new Set(['40001', '40P01']);
/** A lock, a query or an open transaction took too long; the server ends, starts, or has become a replica. */
const transient = new Set([
  '55P03',
  '57014',
  '25P03',
  '25P04',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '25006',
  '40003',
]);
/** Connections, and resources such as disk, memory and the number of connections. */
const transientClasses = new Set(['08', '53', '58']);

const access = 'Check the name of the user, its password or token, and what it may do in the database.';
const configuration: Record<string, string> = {
  '28000': access,
  '28P01': access,
  '42501': access,
  '3D000': 'Create the database, or correct its name.',
};

/** What to do if a failure that is tried again does not end. */
const hints: Record<string, string> = {
  '55P03':
    'Another session holds a lock on the mirror for long. Find it in pg_stat_activity: end transactions that are left open, and readers that take hours.',
  '57014':
    'Somebody cancelled the statement, or a limit of the server did. Find out who with the log of the server.',
};

/** A connection that is not verified, or not encrypted. */
const tlsFault =
  /^(?:ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_SSL_)|does not support SSL/;

/** Words of Citus about what it does not support. */
const ofCluster =
  /distribut|reference table|partition (?:column|value)|shard|co-?located|lateral outer join/i;

/** Words of Citus, without a code of their own, about a node that is lost within a transaction. */
const ofLostNode = /failure on connection marked as essential/;

interface DatabaseError extends Error {
  code?: string;
  /** Names of what the error is about. */
  table?: string;
  column?: string;
  /** The function of the server that reported it. */
  routine?: string;
}

/**
 * A failure of PostgreSQL as an error of this project, by what the caller must do next. The server's own text is left out:
 * it can quote rows. A fault of the SQL itself is returned as it is.
 */
export function postgresError(error: unknown, operation: string, object: string): unknown {
  if (error instanceof SyncError || !(error instanceof Error) || isOfCode(error)) return error;
  const { code = '', column, routine = '' } = error as DatabaseError;
  const details = { operation, object, cause: new Error(code || error.message) };
  const message = `Cannot ${operation} ${object}: PostgreSQL reports ${code}`;
  if (conflicts.has(code)) return new ConflictError(message, details);
  // Out of shared memory for locks. Another try would need as many.
  if (code === '53200' && /lock/i.test(routine)) {
    return new ConfigurationError(`${message}: the transaction needs more locks than the server has`, {
      ...details,
      hint: 'Raise max_locks_per_transaction of the server, for example to 1024, and restart it.',
    });
  }
  const hint = configuration[code];
  if (hint !== undefined) return new ConfigurationError(message, { ...details, hint });
  if (tlsFault.test(code) || tlsFault.test(error.message)) {
    return new ConfigurationError(`Cannot ${operation} ${object}: the connection cannot be trusted`, {
      ...details,
      hint: 'Use the full name of the server, and a server with TLS and a certificate of a public authority.',
    });
  }
  const isLost = transientClasses.has(code.slice(0, 2)) || ofLostNode.test(error.message);
  if (transient.has(code) || isLost || !isOfServer(code)) {
    const why = operation === 'connect to' && code !== '' ? code : 'the connection was lost';
    const what = isOfServer(code) ? message : `Cannot ${operation} ${object}: ${why}`;
    return new RetriableError(what, {
      ...details,
      hint: hints[code] ?? 'Check that the server runs, its disk, and its network rules.',
    });
  }
  if (code === '0A000' && ofCluster.test(error.message)) {
    return new SkipTableError(`${message}: a cluster (Citus) does not take the statement`, {
      ...details,
      hint: `Bring the table back to the coordinator with undistribute_table, and set POSTGRES_DISTRIBUTE=off: see docs/postgres.md, "On a cluster".`,
    });
  }
  if (code === '2BP01' || code === '0A000') {
    return new SkipTableError(`${message}: something else in the database depends on it`, {
      ...details,
      hint: `Drop the views that use tables of ${object}, and create them again after the next run.`,
    });
  }
  if (code === '42P07') {
    return new SkipTableError(`${message}: the schema has another table or view with the name`, {
      ...details,
      hint: 'Rename or drop it: the schema of the mirror belongs to the sync.',
    });
  }
  // Values, and limits of the database such as the size of a row.
  if (code.startsWith('22') || code.startsWith('54') || code.startsWith('23')) {
    return new SkipTableError(`${message}${column === undefined ? '' : ` in column ${column}`}`, {
      ...details,
      hint: 'The database cannot store a value or a row of the table. Leave out columns in entities.json.',
    });
  }
  return error;
}

/** A statement that a person wrote cannot be run. The message is that of the server, about their own words. */
export class StatementError extends SyncError {
  override readonly name: string = 'StatementError';
}

export const tooLong = (): StatementError => new StatementError('The query took too long, and was stopped.');
export const tooLarge = (): StatementError =>
  new StatementError(
    'The server sent more about the query than is read, such as an error with a long value.',
  );

/** The server quotes values in whole. */
const messageCharacters = 2000;

/** A write where only reads are possible, and parameters that are not those of the statement. */
const ofStatement = new Set(['25006', '08P01']);

/** @returns undefined if the statement is not to blame */
export function statementError(error: unknown): StatementError | undefined {
  const { code = '', message } = error as DatabaseError;
  if (!(error instanceof Error) || !isOfServer(code)) return undefined;
  if (code === '57014') return tooLong();
  const shown = message.length > messageCharacters ? `${message.slice(0, messageCharacters)}…` : message;
  if (ofStatement.has(code)) return new StatementError(shown);
  if (transient.has(code) || transientClasses.has(code.slice(0, 2)) || conflicts.has(code)) return undefined;
  return new StatementError(shown);
}

/** A fault of this program, such as a TypeError: neither the server nor the connection has it. */
function isOfCode(error: Error): boolean {
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
}

/** Whether the code is one of the server: five characters. Others are of Node.js, and `pg` has errors without one. */
function isOfServer(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code);
}
