import { Fragment } from '../http/fragment.ts';
import { html } from '../http/responses.ts';
import type { ServiceRequest, ServiceResponse } from '../http/service-request.ts';
import type { Fault } from './faults.ts';

/** The response of a fault that a gateway in front of the service sends, or undefined. */
export function gatewayAnswer(
  fault: Fault,
  unauthorized: () => ServiceResponse,
): ServiceResponse | undefined {
  if (fault.kind === '401') return unauthorized();
  if (fault.kind === '502-html') {
    return html(
      502,
      '<html><head><title>502 Bad Gateway</title></head><body>Application Gateway</body></html>',
    );
  }
  return undefined;
}

/** Damages the bodies of good responses. */
export class Damage {
  /** The last row of the previous page, by path, for `repeat-row`. */
  readonly #lastRows = new Map<string, string>();

  #links = 0;

  apply(fault: Fault | undefined, request: ServiceRequest, response: ServiceResponse): ServiceResponse {
    const repeated = this.#remember(request, response);
    switch (fault?.kind) {
      case 'truncate': {
        const whole = Buffer.concat(response.body.map((fragment) => fragment.bytes));
        return withBody(response, [whole.subarray(0, Math.floor(whole.length * 0.6))]);
      }
      case 'not-json':
        return withBody(response, ['<!DOCTYPE html><html><body>Sign in to your account</body></html>']);
      case 'empty-body':
        return withBody(response, []);
      case 'repeat-nextlink':
        return relink(response, addressOf(request));
      case 'endless-nextlink':
        this.#links += 1;
        return relink(response, `${addressOf(request).replace(/[?&]link=\d+/, '')}&link=${this.#links}`);
      case 'foreign-nextlink':
        return relink(response, 'https://elsewhere.example/api/data/v9.2/accounts?$skiptoken=1');
      case 'repeat-row':
        return repeated === undefined ? response : repeatRow(response, repeated);
      default:
        return response;
    }
  }

  /** Stores the last row of a page and returns that of the previous one. */
  #remember(request: ServiceRequest, response: ServiceResponse): string | undefined {
    if (response.body.length !== 3) return undefined;
    const before = this.#lastRows.get(request.path);
    const { bytes } = response.body[1]!;
    const at = bytes.lastIndexOf('{"@odata.etag"');
    if (at >= 0) this.#lastRows.set(request.path, bytes.subarray(at).toString());
    return before;
  }
}

function addressOf({ origin, path, query }: ServiceRequest): string {
  return `${origin}${path}${query === '' ? '' : `?${query}`}`;
}

function withBody(response: ServiceResponse, parts: readonly (Buffer | string)[]): ServiceResponse {
  return { ...response, body: parts.map((part) => new Fragment(part)) };
}

/** Replaces the next link of a page. */
function relink(response: ServiceResponse, url: string): ServiceResponse {
  const link = /"@odata\.nextLink":"(?:[^"\\]|\\.)*"/;
  const body = response.body.map((fragment) => {
    // Links are in the small pieces around the rows.
    if (fragment.bytes.length > 65_536) return fragment;
    const text = fragment.bytes.toString();
    return link.test(text)
      ? new Fragment(text.replace(link, () => `"@odata.nextLink":${JSON.stringify(url)}`))
      : fragment;
  });
  return { ...response, body };
}

function repeatRow(response: ServiceResponse, row: string): ServiceResponse {
  const [head, rows, tail] = response.body as [Fragment, Fragment, Fragment];
  const separator = rows.bytes.length === 0 ? '' : ',';
  return { ...response, body: [head, new Fragment(row + separator), rows, tail] };
}
