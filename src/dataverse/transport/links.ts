import { ConfigurationError } from '../../errors.ts';
import { LinkError } from '../errors/errors.ts';

const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether a URL's host is this machine itself. */
export function isLoopback(url: URL): boolean {
  return loopbackHost.test(url.hostname);
}

/**
 * The origin of a Dataverse environment from its address.
 * Plain HTTP is for this machine only: elsewhere it would show the token to the network.
 * @throws ConfigurationError for anything but https, or http on a loopback host
 */
export function environmentOrigin(address: string): string {
  const url = URL.parse(address);
  if (url === null) throw wrongAddress('is not a URL');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    throw wrongAddress(`must use https, not ${url.protocol}//; plain http is for this machine only`);
  }
  const isOrigin = /^\/(api\/data\/v9\.\d+\/?)?$/.test(url.pathname) && url.search === '';
  if (!isOrigin || url.username || url.password) {
    throw wrongAddress('must be the origin alone, without user name, path or query');
  }
  return url.origin;
}

function wrongAddress(what: string): ConfigurationError {
  return new ConfigurationError(`The Dataverse address ${what}`, {
    operation: 'read the Dataverse address',
    hint: 'Give it as https://<organisation>.crm.dynamics.com.',
  });
}

/**
 * Follows the links of one read. A link goes to the environment's own origin, or the token would leave
 * with it; and no link is followed twice, because a cookie that stands still pages for ever.
 */
export class LinkGuard {
  readonly #origin: string;
  readonly #entity: string;
  readonly #seen = new Set<string>();

  constructor(origin: string, entity: string) {
    this.#origin = origin;
    this.#entity = entity;
  }

  /**
   * The link as an absolute URL, character for character as it was given.
   * @param base the URL of the answer that named it, for relative links
   * @param page the page it leads to, for the error
   */
  follow(link: string, base: string, page: number): string {
    const object = this.#entity;
    const place = `page ${page} of ${object}`;
    const refuse = (what: string, hint: string) =>
      new LinkError(`The link to ${place} ${what}`, { operation: `read ${place}`, object, hint });
    const url = URL.parse(link, base);
    if (url === null) throw refuse('is no URL', 'Read the table again.');
    if (url.origin !== this.#origin || url.username !== '' || url.password !== '') {
      const what = `leads to ${url.origin}, away from ${this.#origin}`;
      throw refuse(what, 'The token would have left with the request.');
    }
    const absolute = /^https?:\/\//i.test(link) ? link : url.href;
    if (this.#seen.has(absolute)) {
      throw refuse('was followed before', 'The paging cookie stands still: read the table again.');
    }
    this.#seen.add(absolute);
    return absolute;
  }
}
