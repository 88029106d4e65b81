import { UsageError } from '../client/errors.ts';

/**
 * FetchXML, page by page. Only the attributes of the `fetch` element are read and written; what is in it is sent as it is.
 * learn.microsoft.com: "Page results using FetchXML".
 */

const fetchElement = /<fetch\b((?:[^>"']|"[^"]*"|'[^']*')*)>/;

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

/** Whether the query names its own page or number of rows, so that it is sent once, as it is. */
export function isOnePage(xml: string): boolean {
  const attributes = attributesOf(xml);
  return attributes.has('top') || attributes.has('page') || attributes.get('aggregate') === 'true';
}

/** The query for one page. @param cookie that of the page before, as Dataverse sent it */
export function pageOf(xml: string, page: number, pageSize: number, cookie: string | undefined): string {
  const attributes = attributesOf(xml);
  attributes.set('page', String(page));
  if (!attributes.has('count')) attributes.set('count', String(pageSize));
  const inner = cookie === undefined ? undefined : cookieOf(cookie);
  if (inner !== undefined) attributes.set('paging-cookie', escapeXml(inner));
  const text = [...attributes].map(([name, value]) => ` ${name}="${value}"`).join('');
  return xml.replace(fetchElement, (_, rest: string) => `<fetch${text}${/\/\s*$/.test(rest) ? '/' : ''}>`);
}

/** The attributes of the `fetch` element, with their values as they are escaped. */
function attributesOf(xml: string): Map<string, string> {
  const text = fetchElement.exec(xml)?.[1];
  if (text === undefined) throw new UsageError('The query in FetchXML has no <fetch> element');
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
