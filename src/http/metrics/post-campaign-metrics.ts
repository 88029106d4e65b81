import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { describeError } from '../../errors.ts';
import { readRecords } from '../../metrics/contract/contract.ts';
import type { MetricsServices } from '../../metrics/services.ts';
import { type Accepted, acceptRecords } from '../../metrics/write/accept-records.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';
import { readRequestBody } from '../read-request-body.ts';

/** `POST /api/metrics/campaign`: writes one record or a list. */
export const postCampaignMetrics: Handler<MetricsServices> = async (services, request) => {
  const body = await readRequestBody(
    request,
    services.settings.maxBodyBytes,
    'Split the records over several requests.',
  );
  const read = readRecords(body, services.now());
  if ('faults' in read) {
    const hint = 'Nothing was written. Correct the faults in `errors` and send the body again.';
    throw new Problem(400, read.detail, { hint, errors: read.faults });
  }
  const respondAsync = prefersAsync(request);
  const accepted = await acceptRecords(services, read.records, respondAsync);
  const collection = address(request, 'metrics/campaign');
  const response = read.isArray ? listResponse(accepted, collection) : oneResponse(accepted[0]!, collection);
  if (respondAsync) response.headers['preference-applied'] = 'respond-async';
  return response;
};

/** RFC 7240: a preference can have parameters, and the header can hold other preferences. */
function prefersAsync(request: HttpRequest): boolean {
  const preferences = (request.headers.get('prefer') ?? '').split(',');
  return preferences.some((preference) => /^\s*respond-async\s*(?:[;=]|$)/i.test(preference));
}

const statuses = { created: 201, updated: 200, queued: 202, refused: 422 } as const;

type Response = HttpResponseInit & { headers: Record<string, string> };

function oneResponse(accepted: Accepted, collection: string): Response {
  if (accepted.outcome === 'refused') throw refusal(accepted.error);
  const headers = { location: locationOf(accepted, collection), ...retryAfter(accepted) };
  return { status: statuses[accepted.outcome], headers, jsonBody: itemOf(accepted, collection) };
}

/** A list has the status that all its items share, else 207. */
function listResponse(accepted: readonly Accepted[], collection: string): Response {
  const items = accepted.map((item) => itemOf(item, collection));
  const all = new Set(items.map((item) => item.status));
  // Most often all are written when the last one is. Each item has its own address.
  const last = accepted.findLast((item) => item.outcome === 'queued');
  const headers = last && { location: locationOf(last, collection), ...retryAfter(last) };
  return { status: all.size === 1 ? items[0]!.status : 207, headers: headers ?? {}, jsonBody: items };
}

/** The part of the response that describes one record. */
function itemOf(accepted: Accepted, collection: string) {
  const status = statuses[accepted.outcome];
  const { id, record } = accepted.row;
  if (accepted.outcome === 'refused') return { status, id, problem: refusal(accepted.error).document };
  return { status, location: locationOf(accepted, collection), id, ...record };
}

function locationOf(accepted: Accepted, collection: string): string {
  return accepted.outcome === 'queued'
    ? `${collection}/status/${accepted.ticket}`
    : `${collection}/${accepted.row.id}`;
}

function retryAfter({ outcome }: Accepted): Record<string, string> {
  return outcome === 'queued' ? { 'retry-after': '1' } : {};
}

function refusal(error: Error): Problem {
  const { message, hint = 'Correct the record and send it again.' } = describeError(error);
  return new Problem(statuses.refused, message, { hint });
}
