import { parseUrl } from '../../config/environment-url.ts';
import { LinkError } from '../errors/errors.ts';

/**
 * Checks the links of one read before they are requested. A link must stay on the environment's origin,
 * otherwise the token would leave with it, and must be new: a paging cookie that does not advance would
 * page forever.
 */
export class LinkGuard {
  readonly #origin: string;
  readonly #entitySet: string;
  readonly #seen = new Set<string>();

  constructor(origin: string, entitySet: string) {
    this.#origin = origin;
    this.#entitySet = entitySet;
  }

  /**
   * Returns the link as an absolute URL, otherwise unchanged.
   * @param base URL of the response that contained the link, for relative links
   * @param page number of the page that the link leads to, for the error
   * @throws LinkError
   */
  follow(link: string, base: string, page: number): string {
    const object = this.#entitySet;
    const place = `page ${page} of ${object}`;
    const reject = (what: string, hint: string) =>
      new LinkError(`The link to ${place} ${what}`, { operation: `read ${place}`, object, hint });
    const url = parseUrl(link, base);
    if (url === null) throw reject('is not a valid URL', 'Read the table again.');
    if (url.origin !== this.#origin || url.username !== '' || url.password !== '') {
      const what = `leads to ${url.origin}, away from ${this.#origin}`;
      throw reject(what, 'Requests go to the environment only, because each one carries the token.');
    }
    const absolute = /^https?:\/\//i.test(link) ? link : url.href;
    if (this.#seen.has(absolute)) {
      throw reject('was followed before', 'The paging cookie does not advance: read the table again.');
    }
    this.#seen.add(absolute);
    return absolute;
  }
}
