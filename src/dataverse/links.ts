import { ConfigurationError } from '../errors.ts';
import { LinkError } from './errors.ts';

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
  const details = { operation: 'read the Dataverse address', object: 'url' };
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new ConfigurationError('The Dataverse address is not a URL', {
      ...details,
      hint: 'Give it as https://<organisation>.crm.dynamics.com.',
    });
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    throw new ConfigurationError(`The Dataverse address must use https, not ${url.protocol}//`, {
      ...details,
      hint: 'Plain http is allowed for this machine only (localhost, 127.0.0.1).',
    });
  }
  if (url.username || url.password || !/^\/(api\/data\/v9\.\d+\/?)?$/.test(url.pathname) || url.search) {
    throw new ConfigurationError('The Dataverse address must be the origin alone', {
      ...details,
      hint: 'Give it as https://<organisation>.crm.dynamics.com, without user name, path or query.',
    });
  }
  return url.origin;
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
    const details = { operation: `read page ${page} of ${this.#entity}`, object: this.#entity };
    let url: URL;
    try {
      url = new URL(link, base);
    } catch (cause) {
      throw new LinkError(`Page ${page} of ${this.#entity} is named by a link that is no URL`, {
        ...details,
        cause,
      });
    }
    if (url.origin !== this.#origin || url.username !== '' || url.password !== '') {
      throw new LinkError(
        `The link to page ${page} of ${this.#entity} leads to ${url.origin}, away from ${this.#origin}`,
        {
          ...details,
          hint: 'It was not followed, since the token would have left with the request. A proxy may rewrite addresses.',
        },
      );
    }
    const absolute = /^https?:\/\//i.test(link) ? link : url.href;
    if (this.#seen.has(absolute)) {
      throw new LinkError(
        `The link to page ${page} of ${this.#entity} was followed before: the server repeats itself`,
        {
          ...details,
          hint: 'Dataverse sometimes returns a paging cookie that stands still: read the table again.',
        },
      );
    }
    this.#seen.add(absolute);
    return absolute;
  }
}
