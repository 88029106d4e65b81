/**
 * Whether a caller would rather have HTML than JSON by its `Accept` header (RFC 9110, 12.5.1): a browser does,
 * curl and fetch take anything and get JSON.
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

/** The most specific range that covers the type decides. */
function quality(ranges: readonly MediaRange[], type: string): number {
  for (const covering of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((one) => one.type === covering);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
