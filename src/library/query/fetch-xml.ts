import { UsageError } from '../client/errors.ts';

/**
 * FetchXML, page by page. Only the attributes of the `fetch` element are read and written; what is in it is sent as it is.
 * learn.microsoft.com: "Page results using FetchXML".
 */

const fetchElement = /<fetch\b((?:[^>"']|"[^"]*"|'[^']*')*)>/g;

/** The first `fetch` element that is not in a comment. */
function findFetch(xml: string): { start: number; end: number; attributes: string } {
  let comment = xml.indexOf('<!--');
  let commentEnd = 0;
  for (const { index: start, 0: element, 1: attributes = '' } of xml.matchAll(fetchElement)) {
    while (comment >= 0 && comment < start) {
      const end = xml.indexOf('-->', comment + 4);
      commentEnd = end < 0 ? xml.length : end + 3;
      comment = xml.indexOf('<!--', commentEnd);
    }
    if (start >= commentEnd) return { start, end: start + element.length, attributes };
  }
  throw new UsageError('The query in FetchXML has no <fetch> element');
}

/** Text as the value of an XML attribute. Use it for values that come from input. */
export function escapeXml(text: string): string {
  const escapes: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  };
  // XML has no other control characters, not even escaped.
  return text
    .replace(/[&<>"']/g, (character) => escapes[character]!)
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/\p{Cc}/gu, '');
}

/**
 * Whether the query is sent once, as it is: `part` names its own page or number of rows, `whole` is an aggregate, of which
 * Dataverse sends no paging cookie.
 */
export function singlePageOf(xml: string): 'part' | 'whole' | undefined {
  const attributes = attributesOf(xml);
  if (attributes.has('top') || attributes.has('page')) return 'part';
  return /^(true|1)$/.test(attributes.get('aggregate') ?? '') ? 'whole' : undefined;
}

/** The query for one page. @param cookie that of the page before, as Dataverse sent it */
export function pageOf(xml: string, page: number, pageSize: number, cookie: string | undefined): string {
  const attributes = attributesOf(xml);
  attributes.set('page', String(page));
  if (!attributes.has('count')) attributes.set('count', String(pageSize));
  const inner = cookie === undefined ? undefined : cookieOf(cookie);
  if (inner !== undefined) attributes.set('paging-cookie', escapeXml(inner));
  const text = [...attributes].map(([name, value]) => ` ${name}="${value}"`).join('');
  const { start, end, attributes: rest } = findFetch(xml);
  return `${xml.slice(0, start)}<fetch${text}${/\/\s*$/.test(rest) ? '/' : ''}>${xml.slice(end)}`;
}

/** The attributes of the `fetch` element, with their values as they are escaped. */
function attributesOf(xml: string): Map<string, string> {
  const text = findFetch(xml).attributes;
  const attributes = new Map<string, string>();
  for (const [, name, double, single] of text.matchAll(/([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    attributes.set(name!, (double ?? single!).replaceAll('"', '&quot;'));
  }
  return attributes;
}

/**
 * The cookie in `<cookie pagenumber="2" pagingcookie="%253ccookie…" istracking="False" />`, which is URL-encoded twice.
 * Undefined if there is none: Dataverse pages by number then.
 */
function cookieOf(annotation: string): string | undefined {
  const encoded = /pagingcookie="([^"]*)"/.exec(annotation)?.[1];
  if (!encoded) return undefined;
  try {
    return decodeURIComponent(decodeURIComponent(encoded));
  } catch {
    return undefined;
  }
}
