import { ConfigurationError } from '../errors.ts';

const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Parses a URL; null if it is not valid. `URL.parse` needs Node.js 22, and the client library runs on 20. */
export function parseUrl(address: string, base?: string): URL | null {
  return URL.canParse(address, base) ? new URL(address, base) : null;
}

/** What is quoted in errors. Anything else can be a key or a token that was put into the wrong setting. */
const plainAddress = /^[\w.:/-]{1,60}$/;

/** Whether the URL's host is this machine. */
export function isLoopback(url: URL): boolean {
  return loopbackHost.test(url.hostname);
}

/**
 * Returns the origin of a Dataverse environment: `https://contoso.crm.dynamics.com`.
 * The address may end in `/` or in `/api/data/v9.2`, as Power Apps shows it. Plain HTTP is allowed on
 * loopback hosts only: on a network it would expose the token.
 * @param name what the error calls the address, for example the setting
 * @throws ConfigurationError for any other address; the message never contains a user name or password
 */
export function environmentOrigin(address: string, name = 'The Dataverse URL'): string {
  const url = parseUrl(address);
  if (url === null) {
    throw invalidUrl(name, `${name} is not a valid URL${plainAddress.test(address) ? `: ${address}` : '.'}`);
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    const found = `not ${url.protocol}//${url.host}`;
    throw invalidUrl(
      name,
      `${name} must use https:// (http:// is allowed on loopback hosts only), ${found}.`,
    );
  }
  const isOrigin = /^\/(api\/data\/v9\.\d+\/?)?$/.test(url.pathname) && url.search === '';
  if (!isOrigin || url.username !== '' || url.password !== '') {
    throw invalidUrl(name, `${name} must be the origin alone, without user name, password, path or query.`);
  }
  return url.origin;
}

function invalidUrl(object: string, message: string): ConfigurationError {
  const hint = 'Use the environment URL, for example https://contoso.crm.dynamics.com.';
  return new ConfigurationError(message, { operation: 'read the Dataverse URL', object, hint });
}
