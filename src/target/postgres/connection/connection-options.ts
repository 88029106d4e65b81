import { ConfigurationError } from '../../../errors.ts';

/** Where the mirror is. */
export interface PostgresOptions {
  /** A name of a host, or the folder of a socket. */
  host: string;
  port: number;
  database: string;
  user: string;
  /** A password, or what returns one for each new connection, such as an access token. */
  password?: string | (() => Promise<string>) | undefined;
  /** The schema of the mirror. It has no other tables. */
  schema: string;
}

const setting = 'POSTGRES_URL';

/**
 * Reads a connection string: `postgresql://user:password@host:5432/database`. Of the parameters it takes `host`, which may
 * be the folder of a socket, and an `sslmode` that does not turn off what this app does anyway.
 * @throws ConfigurationError
 */
export function connectionOptions(text: string): Omit<PostgresOptions, 'schema'> {
  const url = parsed(text);
  const host = url.searchParams.get('host') ?? url.hostname;
  const database = decoded(url.pathname.slice(1));
  const user = decoded(url.username);
  if (host === '' || database === '' || user === '')
    throw wrong('it lacks the host, the database or the user');
  const mode = url.searchParams.get('sslmode');
  if (mode !== null && !isLoopback(host) && !['require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw wrong('its sslmode would allow a connection without TLS, which is always verified');
  }
  const password = url.password === '' ? undefined : decoded(url.password);
  return { host, port: Number(url.port || 5432), database, user, password };
}

function parsed(text: string): URL {
  try {
    const url = new URL(text);
    if (/^postgres(?:ql)?:$/.test(url.protocol)) return url;
  } catch {
    // Without the error, which quotes the password.
  }
  throw wrong('it is not a URL of PostgreSQL');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('a % in it is not the beginning of an escape: write %25');
  }
}

function wrong(why: string): ConfigurationError {
  return new ConfigurationError(`${setting} cannot be used: ${why}.`, {
    object: setting,
    hint: `Write it as postgresql://user:password@server.postgres.database.azure.com:5432/database.`,
  });
}

/** Whether connections to the host do not leave this machine. */
export function isLoopback(host: string): boolean {
  return host.startsWith('/') || ['localhost', '127.0.0.1', '::1', '[::1]'].includes(host.toLowerCase());
}
