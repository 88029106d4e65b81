import { RetriableError } from '../../errors.ts';
import type { MetricsServices } from '../../metrics/services.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';
import { listQuery, queryProblem, readQuery, summaryQuery } from './read-query.ts';

/** Milliseconds that a caller waits for Dataverse. Azure closes the connection after 230 seconds. */
const readTimeoutMs = 100_000;
/** The period of a summary without `since`, in days. */
const defaultDays = 30;

/** `GET /api/metrics/campaign`: one page of records, newest first. */
export const listCampaignMetrics: Handler<MetricsServices> = async ({ reader }, request) => {
  const { limit, page, ...filter } = readQuery(request, listQuery);
  const found = await inTime((options) => reader.list(filter, limit, page, options));
  if (found === 'wrong page') {
    throw queryProblem([
      {
        path: '/page',
        detail: 'belongs to another query, or is damaged; follow `next` unchanged, or start without `page`',
      },
    ]);
  }
  const items = found.rows.map(({ id, record }) => ({ id, ...record }));
  if (found.next === undefined) return { jsonBody: { items } };
  const next = new URL(address(request, 'metrics/campaign'));
  for (const [name, value] of Object.entries({ limit, ...filter, page: found.next })) {
    if (value !== undefined) next.searchParams.set(name, String(value));
  }
  return { headers: { link: `<${next.href}>; rel="next"` }, jsonBody: { items, next: next.href } };
};

/** `GET /api/metrics/campaign/{id}`: one record. */
export const getCampaignMetrics: Handler<MetricsServices> = async ({ reader }, request) => {
  const id = (request.params['id'] ?? '').toLowerCase();
  // The route's constraint also lets GUIDs without hyphens or in braces through. Dataverse rejects those.
  const isId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
  const row = isId ? await inTime((options) => reader.get(id, options)) : undefined;
  if (row !== undefined) return { jsonBody: { id: row.id, ...row.record } };
  throw new Problem(404, 'Record not found in Dataverse.', {
    hint: 'If POST answered 202, its Location tells whether the record is written.',
  });
};

/** `GET /api/metrics/campaign/summary`: figures per day and campaign. */
export const getSummary: Handler<MetricsServices> = async ({ reader, now }, request) => {
  const start = new Date(now().getTime() - defaultDays * 24 * 3600 * 1000);
  const defaultSince = `${start.toISOString().slice(0, 10)}T00:00:00Z`;
  const { campaignId, since = defaultSince, until } = readQuery(request, summaryQuery);
  const summary = await inTime((options) => reader.summary({ campaignId, since, until }, options));
  return { jsonBody: { since, until, ...summary } };
};

/** @throws RetriableError if the read takes longer than `readTimeoutMs` */
async function inTime<T>(read: (options: { signal: AbortSignal }) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(readTimeoutMs);
  try {
    return await read({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new RetriableError('Dataverse did not answer in time.', { cause: error });
  }
}
