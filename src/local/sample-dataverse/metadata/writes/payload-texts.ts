import { badRequest } from '../../http/service-error.ts';
import type { Payload } from '../../write/payload.ts';

/** A text that a definition must have. */
export function textOf(payload: Payload, name: string): string {
  const value = payload[name];
  if (typeof value !== 'string' || value === '') throw badRequest(`'${name}' is missing.`, '0x80048d19');
  return value;
}

/** The first text of a `Label`. */
export function labelText(label: unknown): string | undefined {
  const labels = (label as { LocalizedLabels?: { Label?: unknown }[] } | undefined)?.LocalizedLabels;
  const text = labels?.[0]?.Label;
  return typeof text === 'string' ? text : undefined;
}
