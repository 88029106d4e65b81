import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { isBefore, type PlacedEntry } from '../../metrics/journal/journal-entry.ts';
import type { MetricsServices } from '../../metrics/services.ts';
import { replayHint } from '../../metrics/write/poison-records.ts';
import { collectionAddress, recordAddress } from './addresses.ts';
import { json, problem } from './problem.ts';

/** `GET /api/metrics/campaign/status/{ticket}`: what became of a record that was answered with 202. */
export async function getStatus(services: MetricsServices, request: HttpRequest): Promise<HttpResponseInit> {
  const ticket = request.params['ticket'] ?? '';
  const entry = await services.journal.find(ticket);
  if (entry === undefined) {
    return problem(404, 'No record was accepted under this address, or it was written more than a week ago.');
  }
  const state = await services.journal.state();
  const common = {
    id: entry.id,
    acceptedAt: entry.acceptedAt,
    location: recordAddress(collectionAddress(request), entry.id),
    ...entry.record,
  };
  if (!isBefore(entry.position, state)) {
    const waiting = Math.max(1, Math.ceil((state.retryAt - Date.now()) / 1000));
    return json(200, { state: 'queued', ...common }, { 'Retry-After': String(Math.min(waiting, 60)) });
  }
  const poison = state.poison > 0 ? await poisonOf(services, entry, ticket) : undefined;
  if (poison === undefined) return json(200, { state: 'written', ...common });
  const { refusedAt, error, code, requestId } = poison;
  return json(200, { state: 'poison', ...common, refusedAt, error, code, requestId, hint: replayHint });
}

async function poisonOf(services: MetricsServices, entry: PlacedEntry, ticket: string) {
  const poison = await services.poison.get(entry.id);
  return poison?.ticket === ticket ? poison : undefined;
}
