import { Fragment } from './fragment.ts';
import type { Preferences } from './preferences.ts';
import type { ServiceResponse } from './service-request.ts';

export const jsonHeaders = {
  'content-type': 'application/json; odata.metadata=minimal',
  'odata-version': '4.0',
};

export function json(content: unknown, status = 200): ServiceResponse {
  return { status, headers: jsonHeaders, body: [new Fragment(JSON.stringify(content))] };
}

/** Plain text with the byte order mark that the service puts before a bare count. */
export function text(content: string): ServiceResponse {
  return {
    status: 200,
    headers: { 'content-type': 'text/plain', 'odata-version': '4.0' },
    body: [new Fragment(`\ufeff${content}`)],
  };
}

export function html(status: number, content: string): ServiceResponse {
  return { status, headers: { 'content-type': 'text/html' }, body: [new Fragment(content)] };
}

export function noContent(headers: Record<string, string> = {}): ServiceResponse {
  return { status: 204, headers: { 'odata-version': '4.0', ...headers }, body: [] };
}

export function appliedHeader(preferences: Preferences): Record<string, string> {
  return preferences.applied.length === 0 ? {} : { 'preference-applied': preferences.applied.join(',') };
}
