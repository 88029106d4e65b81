/**
 * Whether an `Accept` header prefers HTML to JSON (RFC 9110, section 12.5.1). Browsers prefer HTML; curl and fetch
 * accept anything and get JSON.
 */
export function prefersHtml(accept: string | null): boolean {
  const ranges = (accept ?? '').split(',').map(mediaRange);
  const html = quality(ranges, 'text/html');
  return html > 0 && html > quality(ranges, 'application/json');
}

interface MediaRange {
  type: string;
  quality: number;
}

function mediaRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = q === undefined ? 1 : Number(q.slice(2));
  return { type, quality: Number.isFinite(quality) ? quality : 0 };
}

/** The quality of a type: that of the most specific range that covers it. */
function quality(ranges: readonly MediaRange[], type: string): number {
  for (const covering of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((one) => one.type === covering);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
