import * as z from 'zod';
import { type Envelope, returnMessage } from '../../storage/return-message.ts';
import { inRun } from '../../telemetry/tracing.ts';
import type {
  ChangesMessage,
  CheckMessage,
  ExportMessage,
  FetchMessage,
  MergeMessage,
  PlanMessage,
} from '../documents/messages.ts';
import type { SyncServices } from '../documents/services.ts';

// They become parts of the names of blobs.
const runId = z.string().regex(/^[\w-]{1,64}$/);
const entity = z.string().regex(/^\w{1,128}$/);
const round = z.int().min(1).max(1_000_000);
const slice = z.int().min(0).max(1_000_000);
// A wait of another form would become a time that no queue accepts, or figures that are no numbers.
const moment = z.iso.datetime();
const spent = z.record(z.string(), z.number().min(0).max(1e15)).optional();
const waiting = z.looseObject({ since: moment, until: moment, spent }).optional();
/** Counted each time that the message is given back. */
const envelope = { app: z.string().max(200).optional(), returned: z.int().min(0).optional() };

const shapes = {
  plan: z.looseObject({ ...envelope, runId }),
  fetch: z.looseObject({ ...envelope, runId, round, entity, slice, waiting }),
  merge: z.looseObject({ ...envelope, runId, round }),
  check: z.looseObject({ ...envelope, checkId: runId, step: slice }),
  changes: z.looseObject({ ...envelope, wakeId: runId }),
  export: z.looseObject({ ...envelope, runId }),
};

interface Messages {
  plan: PlanMessage;
  fetch: FetchMessage;
  merge: MergeMessage;
  check: CheckMessage;
  changes: ChangesMessage;
  export: ExportMessage;
}

/** The functions that receive the messages. */
const functions = {
  plan: 'planRun',
  fetch: 'fetchEntity',
  merge: 'mergeRound',
  check: 'checkDatabase',
  changes: 'startChanges',
  export: 'exportTables',
} as const;

/** What messages name. */
type Named = Partial<FetchMessage & CheckMessage & ChangesMessage>;

/** The part of the invocation's context that is used here. */
interface Context {
  triggerMetadata?: Record<string, unknown>;
}

/**
 * Makes the handler of a queue function from that of a message. Drops, with one line in the log, what is not a message
 * of this app: the text of another program, a test by hand. Gives a message of another app back, so that two apps that
 * share a queue by mistake stop neither.
 * @param queue the name of the queue that the function listens to
 */
export function receive<Kind extends keyof Messages>(
  kind: Kind,
  queue: string,
  services: () => Promise<SyncServices>,
  handle: (
    services: SyncServices,
    message: Messages[Kind],
    options: { redelivered: boolean },
  ) => Promise<void>,
): (message: unknown, context: Context) => Promise<void> {
  return async (message, { triggerMetadata = {} }) => {
    const { id = '', dequeueCount = 1 } = triggerMetadata as { id?: string; dequeueCount?: number };
    const all = await services();
    const parsed = shapes[kind].safeParse(message);
    if (!parsed.success) {
      // Without its content: nobody knows what it holds.
      all.telemetry.log('warn', `Dropped a message of ${queue} that is not from this app.`, { id });
      return;
    }
    const { app = all.settings.app, returned = 0, traceparent, ...body } = message as Envelope;
    if (app !== all.settings.app) {
      const send = (again: object, seconds: number) => all.sendTo(queue, again, seconds);
      await returnMessage({ ...body, app, returned, traceparent }, queue, send, all.telemetry);
      return;
    }
    const { runId: ofRun, checkId, wakeId, entity: table, round, slice, step } = body as Named;
    // One of them is there. The log names a check as it names a run.
    const runId = ofRun ?? checkId ?? wakeId!;
    const isPoison = queue.endsWith('-poison');
    if (isPoison) all.telemetry.event('MessagePoisoned', { queue, runId, table }, {});
    const name = `${functions[kind]}${isPoison ? 'Poison' : ''} ${table ?? ''}`.trim();
    const attributes = {
      'sync.table': table,
      'sync.round': round,
      'sync.slice': slice ?? step,
      'sync.delivery': Number(dequeueCount),
    };
    const redelivered = Number(dequeueCount) > 1 || returned > 0;
    await inRun({ runId, traceparent }, name, attributes, () =>
      handle(all, body as Messages[Kind], { redelivered }),
    );
  };
}
