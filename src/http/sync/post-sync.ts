import { z } from 'zod';
import { didYouMean } from '../../schema/did-you-mean.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { startRun } from '../../sync/run/start-run.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

const startRequest = z.strictObject({
  /** Resume a live run at once, for a person who knows that it is stuck. */
  resume: z.boolean().optional(),
  /** Tables (logical names) whose deletes are applied once even beyond `massDeleteLimit`. */
  allowMassDelete: z.array(z.string()).optional(),
});

/** `POST /api/sync` starts a sync: 202 with the run's id and status address, 409 if a run is live. */
export const postSync: Handler<SyncServices> = async (services, request) => {
  const options = readStartRequest(await request.text());
  checkTables(services, options.allowMassDelete ?? []);
  const { runId, outcome, hint } = await startRun(services, { trigger: 'http', ...options });
  const statusUrl = `${address(request, 'sync')}/${runId}`;
  return {
    status: outcome === 'live' ? 409 : 202,
    headers: { location: statusUrl },
    jsonBody: { runId, outcome, statusUrl, hint },
  };
};

/** An empty body means no options. */
function readStartRequest(body: string): z.output<typeof startRequest> {
  if (body.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Problem(400, 'The body is not valid JSON.', { hint });
  }
  const parsed = startRequest.safeParse(value);
  if (!parsed.success) throw new Problem(400, z.prettifyError(parsed.error), { hint });
  return parsed.data;
}

/** A name that no table has would allow nothing, without a word. */
function checkTables(services: SyncServices, names: readonly string[]): void {
  if (names.length === 0) return;
  const known = services.readEntities().map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const sentences = unknown.map((name) => `${name} is not in entities.json${didYouMean(name, known) || '.'}`);
  throw new Problem(400, `allowMassDelete: ${sentences.join(' ')}`, {
    hint: 'Use logical names as in entities.json: contact, not contacts.',
  });
}

const hint = 'Send no body, or JSON such as {"resume": true} or {"allowMassDelete": ["contact"]}.';
