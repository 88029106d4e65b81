import { type Html, html } from './html.ts';

/** 12345 → `12,345` */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** With one decimal place below 100, without above. */
export function seconds(value: number): string {
  return value < 100 ? value.toFixed(1) : count(Math.round(value));
}

/** In kB, MB or GB, units of 1,000. */
export function bytes(value: number): string {
  if (value < 1_000_000) return `${count(Math.round(value / 1000))} kB`;
  if (value < 1_000_000_000) return `${(value / 1_000_000).toFixed(1)} MB`;
  return `${(value / 1_000_000_000).toFixed(1)} GB`;
}

/** An ISO 8601 time as UTC, to the second. Text that is not a time stays as it is. */
export function time(iso: string): Html {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return html`${iso}`;
  return html`<time datetime="${iso}">${date.toISOString().slice(0, 19).replace('T', ' ')} UTC</time>`;
}
