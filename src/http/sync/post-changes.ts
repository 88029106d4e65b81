import { RetriableError } from '../../errors.ts';
import { acceptChanges } from '../../sync/changes/start-changes.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import type { State } from '../../target/state.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';
import { readRequestBody } from '../read-request-body.ts';
import { type ChangeMessage, changedTables, readChangeMessage } from './change-message.ts';

/** Four times what Dataverse sends at most (learn.microsoft.com: Use webhooks, "Request Body"). */
const maxBytes = 1024 * 1024;
/** How long what is known of the mirror is used, in milliseconds: a burst of messages reads it once. */
const keptMilliseconds = 10_000;

/**
 * `POST /api/changes`: a message of a Dataverse webhook. 202 once a run for the changed tables is sure to follow, or if the
 * message is of a table that is not mirrored. Dataverse waits for 60 seconds, counts any other answer than 2xx as a failure,
 * and tries again once after 502, 503 and 504.
 */
export const postChanges: Handler<SyncServices> = async (services, request) => {
  const body = await readRequestBody(request, maxBytes, 'Dataverse sends at most 256 KB.');
  const message = readMessage(body);
  const known = await knownMirror(services);
  await checkOrganization(services, message, known);
  const configured = services.readEntities().map(({ name }) => name);
  const tables = changedTables(message, known).filter((name) => configured.includes(name));
  if (tables.length === 0) {
    const reason = 'None of the tables of the message is in entities.json.';
    return { status: 202, jsonBody: { outcome: 'ignored', tables, reason } };
  }
  await acceptChanges(services, tables);
  return { status: 202, jsonBody: { outcome: 'accepted', tables } };
};

function readMessage(body: Uint8Array): ChangeMessage {
  const hint =
    'Only a webhook of Dataverse sends messages here. docs/examples/near-real-time says how to register it.';
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new Problem(400, 'The body is not valid JSON.', { hint });
  }
  const message = readChangeMessage(value);
  if (message !== undefined) return message;
  throw new Problem(400, 'The body is not a RemoteExecutionContext of Dataverse.', { hint });
}

type KnownMirror = Pick<State, 'entities' | 'organizationId'>;

const kept = new WeakMap<SyncServices, { until: number; mirror: Promise<KnownMirror> }>();

/** The tables of the mirror and the organisation that it is of, as they were a moment ago. */
async function knownMirror(services: SyncServices): Promise<KnownMirror> {
  const before = kept.get(services);
  if (before !== undefined && performance.now() < before.until) return before.mirror;
  const mirror = readMirror(services);
  kept.set(services, { until: performance.now() + keptMilliseconds, mirror });
  // The next message tries again.
  mirror.catch(() => kept.delete(services));
  return mirror;
}

async function readMirror({ mirror, dataverse }: SyncServices): Promise<KnownMirror> {
  const { entities = {}, organizationId } = (await mirror.lastState()) ?? {};
  return { entities, organizationId: organizationId ?? (await dataverse.readOrganizationId()) };
}

/** @throws Problem 403 for a message of another environment, which the key alone does not tell */
async function checkOrganization(
  { settings }: SyncServices,
  { OrganizationId }: ChangeMessage,
  { organizationId }: KnownMirror,
): Promise<void> {
  if (organizationId === undefined) {
    throw new RetriableError('It is not known which organisation of Dataverse the mirror is of.', {
      hint: 'Start a sync first.',
    });
  }
  if (OrganizationId.toLowerCase() === organizationId.toLowerCase()) return;
  throw new Problem(403, 'The message is of another environment than the mirror.', {
    hint: `Register the webhook in ${settings.dataverse.url}, and remove it where it is now. After a copy or a restore of the environment, start a sync.`,
  });
}
