import { createHash } from 'node:crypto';
import { RetriableError } from '../../errors.ts';

/*
 * A page token has two parts: a digest of the page's address, and the position, which is the value of `$skiptoken` in the
 * nextLink (learn.microsoft.com: Page results using Web API). The rest of the link is built anew from the list, so a token
 * cannot lead anywhere else. The digest shows that a token is damaged or of another list; it is no secret.
 */

/** A position as it stands in an address: characters that end no query option, others percent-encoded. */
const positionPattern = /^(?:[\w.~!$()*,;:@/?=+-]|%[0-9A-Fa-f]{2})+$/;

/**
 * The token for the page that a nextLink leads to.
 * @param address of the list, without a position
 * @throws RetriableError if the link has no position, so that it does not come from Dataverse
 */
export function tokenOfLink(link: string, address: string): string {
  const options = URL.parse(link, address)?.search.slice(1).split('&') ?? [];
  const option = options.find((one) => /^(?:\$|%24)skiptoken=/i.test(one)) ?? '';
  const position = option
    .slice(option.indexOf('=') + 1)
    .replace(/%(?![0-9A-Fa-f]{2})|[^\w.~!$()*,;:@/?=+%-]/g, (character) => encodeURIComponent(character));
  if (positionPattern.test(position)) {
    return `${digestOf(linkTo(address, position))}.${Buffer.from(position).toString('base64url')}`;
  }
  throw new RetriableError('Dataverse announced another page and did not say where it begins.', {
    operation: 'read campaign metrics',
  });
}

/**
 * The link to the page of a token.
 * @param address of the list, without a position
 * @returns undefined if the token is damaged, or belongs to another list
 */
export function linkOfToken(token: string, address: string): string | undefined {
  const [digest, text = '', ...rest] = token.split('.');
  const position = Buffer.from(text, 'base64url').toString();
  // Buffer skips characters that are not base64url. A token of ours has none.
  if (rest.length > 0 || Buffer.from(position).toString('base64url') !== text) return undefined;
  const link = linkTo(address, position);
  return positionPattern.test(position) && digest === digestOf(link) ? link : undefined;
}

function linkTo(address: string, position: string): string {
  return `${address}&$skiptoken=${position}`;
}

function digestOf(link: string): string {
  return createHash('sha256').update(link).digest('base64url').slice(0, 12);
}
