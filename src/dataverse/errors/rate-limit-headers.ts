/**
 * Parses the headers in which Dataverse states its limits.
 * learn.microsoft.com: "Service protection API limits", "Send parallel requests".
 */

/**
 * Seconds from a `Retry-After` header: a number, or an HTTP date, compared with the response's own `Date`
 * so that a wrong local clock does no harm. Undefined if the header is missing or invalid.
 */
export function parseRetryAfter(
  value: string | undefined,
  date?: string,
  now = Date.now(),
): number | undefined {
  const text = value?.trim();
  if (!text) return undefined;
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Number(text);
  // Date.parse accepts almost any text as a date; an HTTP date starts with the name of a day.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const until = Date.parse(text);
  const sent = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(until)) return undefined;
  return Math.max(0, (until - (Number.isNaN(sent) ? now : sent)) / 1000);
}

/** A number in the format of these headers, with thousands separators and decimals: `1,200.00`. */
export function parseHeaderNumber(value: string | undefined): number | undefined {
  const text = value?.trim().replaceAll(',', '');
  return text && /^\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined;
}

/** The recommended degree of parallelism, `x-ms-dop-hint`, at least 1. */
export function parseDopHint(value: string | undefined): number | undefined {
  const hint = parseHeaderNumber(value);
  return hint === undefined ? undefined : Math.max(1, Math.floor(hint));
}
