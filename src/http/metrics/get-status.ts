import { describeError } from '../../errors.ts';
import type { PlacedEntry } from '../../metrics/journal/journal-entry.ts';
import { replayHint } from '../../metrics/journal/poison-records.ts';
import type { MetricsServices } from '../../metrics/services.ts';
import { consequenceOf } from '../../metrics/table/write-consequence.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/** The longest `Retry-After` of a queued record, in seconds. */
const maxRetrySeconds = 60;

/** `GET /api/metrics/campaign/status/{ticket}`: whether a record that POST answered with 202 is written. */
export const getStatus: Handler<MetricsServices> = async (services, request) => {
  const ticket = request.params['ticket'] ?? '';
  const entry = await services.journal.find(ticket);
  if (entry === undefined) {
    throw new Problem(404, 'No queued record has this address, or it was written more than a week ago.', {
      hint: 'GET /api/metrics/campaign/{id} reads a written record.',
    });
  }
  const { acceptedAt, record } = entry;
  const describe = (id: string) => {
    const location = `${address(request, 'metrics/campaign')}/${id}`;
    return { id, acceptedAt, location, ...record };
  };
  const common = describe(entry.id);
  const state = await services.journal.state();
  if (await services.journal.isOpen(entry, state)) {
    const seconds = Math.max(1, Math.ceil((state.retryAt - Date.now()) / 1000));
    const headers = { 'retry-after': String(Math.min(seconds, maxRetrySeconds)) };
    return { headers, jsonBody: { state: 'queued', ...common } };
  }
  const poison = state.poison > 0 ? await poisonOf(services, entry) : undefined;
  // The poison record may be of another value of the same row.
  if (poison?.ticket !== ticket) {
    return { jsonBody: { state: 'written', ...describe(await writtenId(services, entry)) } };
  }
  const { refusedAt, error, code, requestId } = poison;
  return { jsonBody: { state: 'poison', ...common, refusedAt, error, code, requestId, hint: replayHint } };
};

/** The poison record of the entry's row, also under the id of an earlier version until a drain renews it. */
async function poisonOf({ poison }: MetricsServices, { id, earlierId }: PlacedEntry) {
  return (await poison.get(id)) ?? (earlierId === undefined ? undefined : poison.get(earlierId));
}

/**
 * The id of the written row: an earlier version of this app, or another program, may have created it with an id of its
 * own. While Dataverse does not answer, it is the id that the key gives, which most rows have: that the record is written
 * is known from the journal.
 */
async function writtenId(services: MetricsServices, entry: PlacedEntry): Promise<string> {
  const signal = AbortSignal.timeout(services.settings.writeTimeoutMs);
  try {
    return (await services.table.findId(entry, signal)) ?? entry.id;
  } catch (error) {
    consequenceOf(error);
    const { message: reason, hint } = describeError(error);
    const text = 'Dataverse did not say which id a written record has. Its status has the usual one.';
    services.log('warn', text, { id: entry.id, reason, hint });
    return entry.id;
  }
}
