/** What identifies the state of a resource. */
export interface Validators {
  /** A strong ETag, with its quotes. */
  etag: string;
  lastModified: Date;
}

/**
 * The conditions of a GET or HEAD request, in the order of RFC 9110, section 13.2.2. A date counts only where the ETag that
 * overrides it is absent.
 * @returns `failed`: answer 412; `unchanged`: answer 304
 */
export function checkConditions(
  headers: Pick<Headers, 'get'>,
  { etag, lastModified }: Validators,
): 'met' | 'failed' | 'unchanged' {
  // Dates in headers have no fractions of a second.
  const modifiedAt = Math.floor(lastModified.getTime() / 1000) * 1000;
  const dateOf = (name: string) => parseDate(headers.get(name) ?? '');
  const ifMatch = headers.get('if-match');
  if (ifMatch !== null ? !names(ifMatch, etag) : modifiedAt > dateOf('if-unmodified-since')) return 'failed';
  const ifNoneMatch = headers.get('if-none-match');
  const isUnchanged =
    ifNoneMatch !== null
      ? names(ifNoneMatch.replaceAll('W/"', '"'), etag)
      : modifiedAt <= dateOf('if-modified-since');
  return isUnchanged ? 'unchanged' : 'met';
}

/**
 * Whether a `Range` counts: without `If-Range`, or if that names the current state (RFC 9110, section 13.1.5). A date names
 * none: a resource that can change twice in a second has no date that is a strong validator.
 */
export function meetsIfRange(headers: Pick<Headers, 'get'>, { etag }: Validators): boolean {
  return (headers.get('if-range') ?? etag).trim() === etag;
}

const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/** Milliseconds; NaN for anything but the date of HTTP, which counts as absent (RFC 9110, sections 5.6.7 and 13.1.3). */
function parseDate(text: string): number {
  return httpDate.test(text.trim()) ? Date.parse(text) : Number.NaN;
}

/** Whether a list of ETags has this one, by the strong comparison: `W/"x"` is not `"x"`. */
function names(list: string, etag: string): boolean {
  return list.trim() === '*' || (list.match(/(?:W\/)?"[^"]*"/g)?.includes(etag) ?? false);
}
