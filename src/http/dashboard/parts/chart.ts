import { type Html, html } from '../../pages/html.ts';

export interface Bar {
  value: number;
  /** What the bar stands for, with its value. */
  label: string;
  isBad?: boolean;
  href?: string;
}

const [width, height] = [960, 120];

/**
 * Bars from left to right. A bad one has another colour and a cross above it. Readers of the page without eyes get the
 * table that belongs to the chart, so the chart itself has one label.
 */
export function barChart(label: string, bars: readonly Bar[]): Html {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  // Few bars are no wider than many.
  const step = width / Math.max(bars.length, 24);
  const drawn = bars.map(({ value, label: what, isBad = false }, n) => {
    const tall = value === 0 && !isBad ? 0 : Math.max(2, (value / most) * (height - 16));
    const x = n * step + step * 0.1;
    const bar = html`<rect class="bar${isBad ? ' bad' : ''}" x="${x.toFixed(1)}" y="${(height - tall).toFixed(1)}" width="${(step * 0.8).toFixed(1)}" height="${tall.toFixed(1)}"><title>${what}</title></rect>`;
    const cross = html`<text x="${(x + step * 0.4).toFixed(1)}" y="${(height - tall - 4).toFixed(1)}" text-anchor="middle">×</text>`;
    return html`${bar}${isBad ? cross : undefined}`;
  });
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">${drawn}<line class="axis" x1="0" x2="${width}" y1="${height}" y2="${height}"/></svg>
`;
}

export interface Span {
  name: string;
  /** Seconds from the beginning. */
  from: number;
  seconds: number;
  isBad: boolean;
}

const spanHeight = 18;

/** What happened when: a bar for each span, one below the other, with its name beside it. */
export function timeline(label: string, spans: readonly Span[]): Html {
  const total = Math.max(...spans.map(({ from, seconds }) => from + seconds), 0.1);
  const left = 240;
  const place = (seconds: number): number => (seconds / total) * (width - left);
  const tall = spans.length * spanHeight + 4;
  const drawn = spans.map(({ name, from, seconds, isBad }, n) => {
    const y = n * spanHeight + 4;
    const wide = Math.max(2, place(seconds));
    const what = `${name}: from ${from.toFixed(1)} s, ${seconds.toFixed(1)} s${isBad ? ', with a fault' : ''}`;
    return html`<text x="${left - 8}" y="${y + 11}" text-anchor="end">${isBad ? '× ' : ''}${name.slice(0, 34)}</text><rect class="bar${isBad ? ' bad' : ''}" x="${(left + place(from)).toFixed(1)}" y="${y}" width="${wide.toFixed(1)}" height="${spanHeight - 5}"><title>${what}</title></rect>`;
  });
  return html`<svg class="tall" viewBox="0 0 ${width} ${tall}" role="img" aria-label="${label}">${drawn}</svg>
`;
}

/** A line through values at times, from the smallest value to the greatest. @param points in the order of time */
export function lineChart(label: string, points: readonly { at: number; value: number }[]): Html {
  const times = points.map(({ at }) => at);
  const values = points.map(({ value }) => value);
  const [from, until] = [Math.min(...times), Math.max(...times)];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const place = (value: number, low: number, high: number): number =>
    high === low ? 0.5 : (value - low) / (high - low);
  const path = points
    .map(({ at, value }) => {
      const x = place(at, from, until) * width;
      const y = height - 8 - place(value, least, most) * (height - 16);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}"><polyline class="line" points="${path}"/><line class="axis" x1="0" x2="${width}" y1="${height}" y2="${height}"/></svg>
`;
}
