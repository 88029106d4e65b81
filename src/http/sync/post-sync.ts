import * as z from 'zod';
import { didYouMean } from '../../schema/did-you-mean.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { startRun } from '../../sync/run/start-run.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/** More characters than any request needs. */
const maxBody = 65_536;

const names = z.array(z.string().regex(/^\w{1,128}$/, { error: 'expected a logical name' })).max(1000);

const startRequest = z.strictObject({
  /** Resume a live run at once, for a person who knows that it is stuck. */
  resume: z.boolean().optional(),
  /** Tables (logical names) whose deletes are applied once even beyond `massDeleteLimit`. */
  allowMassDelete: names.optional(),
  /** Tables (logical names) to drop from the mirror, which are not in entities.json any more. */
  dropTables: names.optional(),
  /** Tables (logical names) that the run is of. Without it, it is of all. */
  tables: names.min(1, { error: 'expected at least one logical name' }).optional(),
  /** Tables (logical names) to read again in full in this run. */
  reread: z
    .union([z.literal('all'), names], { error: 'expected "all" or a list of logical names' })
    .optional(),
});

/** `POST /api/sync` starts a sync: 202 with the run's id and status address, 409 if a run is live. */
export const postSync: Handler<SyncServices> = async (services, request) => {
  const options = readStartRequest(await request.text());
  checkTables(services, 'allowMassDelete', options.allowMassDelete ?? []);
  if (options.reread !== 'all') checkTables(services, 'reread', options.reread ?? []);
  checkTables(services, 'tables', options.tables ?? []);
  checkNarrow(options);
  await checkDropTables(services, options.dropTables);
  const tables = options.tables && [...new Set(options.tables)];
  const { runId, outcome, hint } = await startRun(services, { trigger: 'http', ...options, tables });
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
  if (body.length > maxBody)
    throw new Problem(413, `The body has more than ${maxBody} characters.`, { hint });
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Problem(400, 'The body is not valid JSON.', { hint });
  }
  const parsed = startRequest.safeParse(value);
  if (!parsed.success) throw new Problem(400, z.prettifyError(parsed.error).slice(0, 1000), { hint });
  return parsed.data;
}

/** A name that no table has would do nothing, without a word. */
function checkTables(services: SyncServices, option: string, names: readonly string[]): void {
  if (names.length === 0) return;
  const known = services.readEntities().map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const sentences = unknown.map((name) => `${name} is not in entities.json${didYouMean(name, known) || '.'}`);
  throw new Problem(400, `${option}: ${sentences.join(' ')}`, {
    hint: 'Use logical names as in entities.json: contact, not contacts.',
  });
}

/** @throws Problem 400 for options that a run of some tables cannot have */
function checkNarrow({ tables, ...options }: z.output<typeof startRequest>): void {
  if (tables === undefined) return;
  for (const option of ['resume', 'dropTables'] as const) {
    const value = options[option];
    if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) continue;
    throw new Problem(400, `${option} and tables exclude each other.`, {
      hint: `Send ${option} in a request of its own.`,
    });
  }
  for (const option of ['allowMassDelete', 'reread'] as const) {
    const names = options[option] ?? [];
    const others = names === 'all' ? ['all'] : names.filter((name) => !tables.includes(name));
    if (others.length === 0) continue;
    throw new Problem(400, `${option}: the run is not of ${others.join(', ')}.`, {
      hint: 'Name in it tables that are in "tables", too.',
    });
  }
}

/** @throws Problem 400 that names a table which cannot be dropped */
async function checkDropTables(services: SyncServices, names: readonly string[] = []): Promise<void> {
  if (names.length === 0) return;
  const configured = services.readEntities().find(({ name }) => names.includes(name));
  if (configured !== undefined) {
    const { name } = configured;
    throw new Problem(400, `Table ${name} is in entities.json and is not dropped.`, {
      hint: `Remove ${name} from entities.json first.`,
    });
  }
  const { entities = {} } = (await services.mirror.lastState()) ?? {};
  const unknown = names.find((name) => !Object.hasOwn(entities, name));
  if (unknown === undefined) return;
  throw new Problem(400, `The mirror has no table ${unknown}.`, {
    hint: 'dropTables takes logical names, such as account. GET /api/schema lists the tables that can be dropped.',
  });
}

const hint =
  'Send no body, or JSON such as {"resume": true}, {"tables": ["contact"]} or {"allowMassDelete": ["contact"], "reread": "all"}.';
