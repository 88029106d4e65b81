import { mergeHeaders } from '../../dataverse/prefer.ts';
import { type BatchReply, type BatchRequest, batch } from '../../dataverse/write/batch.ts';
import { UsageError } from '../client/errors.ts';
import { headersOf, type RequestOptions } from '../client/options.ts';
import type { Session } from '../client/session.ts';
import { toPublicError } from '../client/to-public-error.ts';
import type { LaterReference } from '../rows/reference.ts';
import { ChangeSet, Operation } from './operation.ts';

/** What became of an operation. `skipped`: an earlier one failed, so it was not executed. */
export type BatchOutcome<T> =
  | { readonly status: 'fulfilled'; readonly value: T }
  | { readonly status: 'rejected'; readonly reason: unknown }
  | { readonly status: 'skipped' };

type BatchItem = Operation<unknown> | ChangeSet<readonly Operation<unknown>[]>;

/** The outcome of an operation; for a change set a list of them, which all have the same status. */
export type OutcomeOf<Item> =
  Item extends ChangeSet<infer Ops>
    ? { [Index in keyof Ops]: OutcomeOf<Ops[Index]> }
    : Item extends Operation<infer T>
      ? BatchOutcome<T>
      : never;

export interface BatchOptions extends RequestOptions {
  /** Execute the other operations after a failure. @default false */
  continueOnError?: boolean | undefined;
}

/** @internal Sends up to 1,000 operations in one request. */
export async function sendBatch<const Items extends readonly BatchItem[]>(
  session: Session,
  items: Items,
  options: BatchOptions = {},
): Promise<{ [Index in keyof Items]: OutcomeOf<Items[Index]> }> {
  const { continueOnError } = options;
  const outcomes = await session.run(options, async (transport, callOptions) => {
    const requests = await Promise.all(items.map((item) => requestsOf(session, item, options)));
    const replies = await batch(transport, requests, { ...callOptions, continueOnError });
    return items.map((item, index) => {
      const reply = replies[index];
      // A missing row is a result, unless the batch ended with it: then something must be rejected.
      const endsBatch = index + 1 < items.length && replies[index + 1] === undefined;
      if (!(item instanceof ChangeSet)) return outcomeOf(item, reply as BatchReply | undefined, endsBatch);
      const all = (reply ?? []) as BatchReply[];
      // A change set that failed has one response, whichever of its operations it belongs to.
      const failed = all.find(({ error }) => error !== undefined);
      return item.operations.map((operation, place) => outcomeOf(operation, failed ?? all[place], true));
    });
  });
  return outcomes as { [Index in keyof Items]: OutcomeOf<Items[Index]> };
}

async function requestsOf(session: Session, item: BatchItem, options: RequestOptions) {
  if (!(item instanceof ChangeSet)) return requestOf(session, item, options, () => undefined);
  const positions = new Map<LaterReference, string>();
  const position = (later: LaterReference) => positions.get(later);
  const changes: BatchRequest[] = [];
  for (const [index, operation] of item.operations.entries()) {
    changes.push(await requestOf(session, operation, options, position));
    positions.set(operation, `$${index + 1}`);
  }
  return { changeSet: changes };
}

async function requestOf(
  session: Session,
  operation: Operation<unknown>,
  options: RequestOptions,
  position: (later: LaterReference) => string | undefined,
): Promise<BatchRequest> {
  const call = await Operation.make(operation, session, (later) => {
    const found = later.resolve(position);
    if (found !== '') return found;
    throw new UsageError('A row that a batch creates can be referred to later in the same change set only', {
      hint: 'Put both operations into one changeSet(…), the create first.',
    });
  });
  // Dataverse applies some headers of a batch to its parts, and others not. So each part has all of them.
  const given = headersOf(session.with(options).options(operation.options));
  return {
    method: (call.method ?? 'GET') as BatchRequest['method'],
    path: call.url,
    headers: mergeHeaders(given, call.headers),
    json: call.body as string | undefined,
    exact: call.exact,
  };
}

function outcomeOf<T>(
  operation: Operation<T>,
  reply: BatchReply | undefined,
  isFinal: boolean,
): BatchOutcome<T> {
  if (reply === undefined) return { status: 'skipped' };
  try {
    return { status: 'fulfilled', value: Operation.read(operation, reply, isFinal) };
  } catch (error) {
    return { status: 'rejected', reason: toPublicError(error) };
  }
}
