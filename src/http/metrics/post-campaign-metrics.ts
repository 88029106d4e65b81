import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { describeError } from '../../errors.ts';
import { readRecords } from '../../metrics/contract/contract.ts';
import type { MetricsServices } from '../../metrics/services.ts';
import { type Accepted, acceptRecords } from '../../metrics/write/accept-records.ts';
import { collectionAddress, recordAddress, statusAddress } from './addresses.ts';
import { json, problem, problemDetail } from './problem.ts';
import { readRequestBody } from './read-request-body.ts';

/** `POST /api/metrics/campaign`: one record or a list of them. */
export async function postCampaignMetrics(
  services: MetricsServices,
  request: HttpRequest,
): Promise<HttpResponseInit> {
  const body = await readRequestBody(request, services.settings.maxBodyBytes);
  if ('refusal' in body) return body.refusal;
  const read = readRecords(body.bytes, services.now());
  if ('faults' in read) return problem(400, read.detail, { errors: read.faults });
  const respondAsync = prefersAsync(request);
  const accepted = await acceptRecords(services, read.records, respondAsync);
  const applied: Record<string, string> = respondAsync ? { 'Preference-Applied': 'respond-async' } : {};
  const collection = collectionAddress(request);
  const answer = read.isArray ? answerList(accepted, collection) : answerOne(accepted[0]!, collection);
  return { ...answer, headers: { ...(answer.headers as Record<string, string>), ...applied } };
}

/** RFC 7240; a preference may carry parameters and stand among others. */
function prefersAsync(request: HttpRequest): boolean {
  const preferences = (request.headers.get('prefer') ?? '').split(',');
  return preferences.some((preference) => /^\s*respond-async\s*(?:[;=]|$)/i.test(preference));
}

const statuses = { created: 201, updated: 200, queued: 202, refused: 422 } as const;

function answerOne(accepted: Accepted, collection: string): HttpResponseInit {
  const status = statuses[accepted.outcome];
  if (accepted.outcome === 'refused') return problem(status, reasonOf(accepted.error));
  const location = locationOf(accepted, collection);
  const queued: Record<string, string> = accepted.outcome === 'queued' ? { 'Retry-After': '1' } : {};
  return json(status, itemOf(accepted, collection), { Location: location, ...queued });
}

/** A list is answered item by item; its own status is that of all items, or 207 where they differ. */
function answerList(accepted: readonly Accepted[], collection: string): HttpResponseInit {
  const items = accepted.map((item) => itemOf(item, collection));
  const all = new Set(items.map((item) => item.status));
  // Records are written in order: when the last one is, all before it are.
  const last = accepted.findLast((item) => item.outcome === 'queued');
  const headers: Record<string, string> =
    last === undefined ? {} : { Location: locationOf(last, collection), 'Retry-After': '1' };
  return json(all.size === 1 ? items[0]!.status : 207, items, headers);
}

/** What is answered for one record, alone or in a list. */
function itemOf(accepted: Accepted, collection: string) {
  const status = statuses[accepted.outcome];
  const { id, record } = accepted.row;
  if (accepted.outcome === 'refused') {
    return { status, id, problem: problemDetail(status, reasonOf(accepted.error)) };
  }
  return { status, location: locationOf(accepted, collection), id, ...record };
}

function locationOf(accepted: Accepted, collection: string): string {
  return accepted.outcome === 'queued'
    ? statusAddress(collection, accepted.ticket)
    : recordAddress(collection, accepted.row.id);
}

function reasonOf(error: Error): string {
  const { message, hint } = describeError(error);
  return hint === undefined ? message : `${message} ${hint}`;
}
