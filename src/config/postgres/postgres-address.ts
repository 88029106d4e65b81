import { ConfigurationError } from '../../errors.ts';

/** Where a PostgreSQL database is, and who signs in. */
export interface PostgresAddress {
  /** A name of a host, or the folder of a socket. */
  host: string;
  port: number;
  database: string;
  user: string;
  /** Undefined: an access token of Microsoft Entra, except for a server on this machine. */
  password?: string | undefined;
}

/**
 * Reads a connection string: `postgresql://user:password@host:5432/database`. Of the parameters it takes `host`, which may
 * be the folder of a socket, and an `sslmode` that does not turn off what this app does anyway.
 * @param setting that has the text, for messages, which quote no part of it
 * @throws ConfigurationError
 */
export function postgresAddress(text: string, setting = 'POSTGRES_URL'): PostgresAddress {
  const wrong = (why: string) =>
    new ConfigurationError(`${setting} cannot be used: ${why}.`, {
      object: setting,
      hint: 'Write it as postgresql://user:password@server.postgres.database.azure.com:5432/database.',
    });
  const decoded = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw wrong('a % in it is not the beginning of an escape: write %25');
    }
  };
  // What is behind the last one would be taken for the host.
  if (text.split('?')[0]!.split('@').length > 2)
    throw wrong('it has several @: write one in a name or a password as %40');
  const url = parsed(text);
  if (url === undefined) throw wrong('it is not a URL of PostgreSQL');
  // A URL has an IPv6 address in brackets, and a connection takes it without.
  const host = (url.searchParams.get('host') ?? url.hostname).replace(/^\[(.*)\]$/, '$1');
  const database = decoded(url.pathname.slice(1));
  const user = decoded(url.username);
  if (host === '' || database === '' || user === '')
    throw wrong('it lacks the host, the database or the user');
  const mode = url.searchParams.get('sslmode');
  if (mode !== null && !isLocalServer(host) && !['require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw wrong('its sslmode would allow a connection without TLS, which is always verified');
  }
  const password = url.password === '' ? undefined : decoded(url.password);
  return { host, port: Number(url.port || 5432), database, user, password };
}

function parsed(text: string): URL | undefined {
  try {
    const url = new URL(text);
    return /^postgres(?:ql)?:$/.test(url.protocol) ? url : undefined;
  } catch {
    // Without the error, which quotes the password.
    return undefined;
  }
}

/** Whether connections to the host do not leave this machine. */
export function isLocalServer(host: string): boolean {
  return host.startsWith('/') || ['localhost', '127.0.0.1', '::1', '[::1]'].includes(host.toLowerCase());
}
