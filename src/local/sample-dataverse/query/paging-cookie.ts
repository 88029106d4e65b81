import { badRequest } from '../http/service-error.ts';

/** Where the next page starts: after the order columns and the key of the last row of this one. */
export interface PagingCookie {
  page: number;
  /** One entry per order column, then the primary key. */
  last: { name: string; first: string | null; last: string | null }[];
  /** The row version at which a read with change tracking began. */
  trackingToken?: string;
}

/**
 * Writes a `$skiptoken` as Dataverse does: an XML cookie with a second cookie inside, encoded twice
 * (learn.microsoft.com: Page results).
 */
export function skipToken(cookie: PagingCookie): string {
  const encodedInner = encodedTwice(cookie);
  const tracking = cookie.trackingToken === undefined ? '' : `%20trackingtoken=%22${cookie.trackingToken}%22`;
  const isTracking = cookie.trackingToken === undefined ? 'False' : 'True';
  return `%3Ccookie%20pagenumber=%22${cookie.page}%22%20pagingcookie=%22${encodedInner}%22%20istracking=%22${isTracking}%22${tracking}%20/%3E`;
}

/** The cookie that an answer to FetchXML carries in an annotation. */
export function fetchXmlCookie(cookie: PagingCookie): string {
  return `<cookie pagenumber="${cookie.page}" pagingcookie="${encodedTwice(cookie)}" istracking="False" />`;
}

function encodedTwice(cookie: PagingCookie): string {
  const inner = `<cookie page="${cookie.page - 1}">${cookie.last.map(element).join('')}</cookie>`;
  return lowerHex(encodeURIComponent(lowerHex(encodeURIComponent(inner))));
}

/** Parses the `paging-cookie` of FetchXML: the inner cookie, decoded. */
export function parsePagingCookie(text: string, page: number): PagingCookie {
  return { page, last: entriesOf(text) };
}

function element(entry: PagingCookie['last'][number]): string {
  return `<${entry.name} ${attribute('last', entry.last)} ${attribute('first', entry.first)} />`;
}

function attribute(name: string, value: string | null): string {
  return value === null ? `${name}null="1"` : `${name}="${escapeXml(value)}"`;
}

/** Parses a `$skiptoken` that was decoded once with the query. The inner cookie is decoded again. */
export function parseSkipToken(token: string): PagingCookie {
  const outer =
    /^<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(?:True|False)"(?: trackingtoken="(\d+)")? \/>$/.exec(
      token,
    );
  if (outer === null) throw malformed();
  return { page: Number(outer[1]), last: entriesOf(decoded(outer[2]!)), trackingToken: outer[3] };
}

function entriesOf(inner: string): PagingCookie['last'] {
  const last = [...inner.matchAll(/<([\w]+) (last(?:null)?)="([^"]*)" (first(?:null)?)="([^"]*)" \/>/g)].map(
    ([, name, lastKind, lastText, firstKind, firstText]) => ({
      name: name!,
      last: lastKind === 'lastnull' ? null : unescapeXml(lastText!),
      first: firstKind === 'firstnull' ? null : unescapeXml(firstText!),
    }),
  );
  if (last.length === 0) throw malformed();
  return last;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed();
  }
}

function malformed(): Error {
  return badRequest('Malformed XML in the Paging Cookie', '0x80040203');
}

function lowerHex(text: string): string {
  return text.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('"', '&quot;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
