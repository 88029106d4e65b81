import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { MetricsServices } from '../../metrics/services.ts';
import { collectionAddress } from './addresses.ts';
import { json, problem } from './problem.ts';
import { listQuery, readQuery, summaryQuery } from './read-query.ts';

/** How long a caller waits for a list or a summary, well within the host's 230 seconds. */
const readTimeoutMs = 100_000;
const defaultDays = 30;

/** `GET /api/metrics/campaign`: the newest records first, page by page. */
export async function listCampaignMetrics(
  services: MetricsServices,
  request: HttpRequest,
): Promise<HttpResponseInit> {
  const read = readQuery(request, listQuery);
  if ('refusal' in read) return read.refusal;
  const { limit, page, ...filter } = read.query;
  const signal = AbortSignal.timeout(readTimeoutMs);
  const found = await services.reader.list(filter, limit, page, { signal });
  if (found === 'wrong page') {
    const errors = [{ path: '/page', detail: 'belongs to another query; use `next` as it was given' }];
    return problem(400, 'The query is not valid.', { errors });
  }
  const items = found.rows.map(({ id, record }) => ({ id, ...record }));
  if (found.next === undefined) return json(200, { items });
  const next = new URL(collectionAddress(request));
  for (const [name, value] of Object.entries({ limit, ...filter, page: found.next })) {
    if (value !== undefined) next.searchParams.set(name, String(value));
  }
  return json(200, { items, next: next.href }, { Link: `<${next.href}>; rel="next"` });
}

/** `GET /api/metrics/campaign/{id}`: one record. */
export async function getCampaignMetrics(
  services: MetricsServices,
  request: HttpRequest,
): Promise<HttpResponseInit> {
  const id = (request.params['id'] ?? '').toLowerCase();
  const isId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
  const row = isId
    ? await services.reader.get(id, { signal: AbortSignal.timeout(readTimeoutMs) })
    : undefined;
  if (row === undefined) return problem(404, 'There is no record with this id in Dataverse.');
  return json(200, { id: row.id, ...row.record });
}

/** `GET /api/metrics/campaign/summary`: figures per day and campaign. */
export async function getSummary(services: MetricsServices, request: HttpRequest): Promise<HttpResponseInit> {
  const read = readQuery(request, summaryQuery);
  if ('refusal' in read) return read.refusal;
  const start = services.now().getTime() - defaultDays * 24 * 3600 * 1000;
  const { campaignId, since = `${new Date(start).toISOString().slice(0, 10)}T00:00:00Z`, until } = read.query;
  const summary = await services.reader.summary(
    { campaignId, since, until },
    { signal: AbortSignal.timeout(readTimeoutMs) },
  );
  return json(200, { since, ...(until === undefined ? {} : { until }), ...summary });
}
