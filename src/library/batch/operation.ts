import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import type { Call } from '../../dataverse/transport/call.ts';
import type { Reply } from '../../dataverse/transport/reply.ts';
import type { BatchReply } from '../../dataverse/write/batch.ts';
import type { RequestOptions } from '../client/options.ts';
import type { Session } from '../client/session.ts';
import { LaterReference } from '../rows/reference.ts';

/** @internal How a batch writes references to rows that it creates itself. */
export type ResolveReference = (later: LaterReference) => string;

/** @internal Makes the request of an operation, when the names of its table are known. */
export type MakeCall = (session: Session, resolve: ResolveReference) => Promise<Call>;

/** The results of an operation if the row does not exist. */
interface IfMissing<T> {
  value: T;
  /** If an earlier attempt, whose response was lost, may have removed it. */
  ifDone?: T;
}

/**
 * A request that is described and not sent yet: `accounts.prepare.create(…)`. A batch sends it. In the same change set, the
 * row that it creates can be the value of a lookup.
 */
export class Operation<T> extends LaterReference {
  readonly #make: MakeCall;
  readonly #read: (reply: Reply) => T;
  readonly #ifMissing: IfMissing<T> | undefined;
  readonly options: RequestOptions | undefined;

  /** @internal @param ifMissing without it, a missing row is an error */
  constructor(
    options: RequestOptions | undefined,
    make: MakeCall,
    read: (reply: Reply) => T,
    ifMissing?: IfMissing<T>,
  ) {
    super();
    this.options = options;
    this.#make = make;
    this.#read = read;
    this.#ifMissing = ifMissing;
  }

  /** @internal */
  resolve(position: (of: LaterReference) => string | undefined): string {
    return position(this) ?? '';
  }

  /** @internal */
  static make(operation: Operation<unknown>, ...args: Parameters<MakeCall>): Promise<Call> {
    return operation.#make(...args);
  }

  /**
   * @internal The result of a response in a batch.
   * @param isFinal the error of a missing row had consequences for other operations, so it stays an error
   * @throws its error
   */
  static read<T>(operation: Operation<T>, reply: BatchReply, isFinal: boolean): T {
    if (reply.error === undefined) return operation.#read(reply);
    if (operation.#ifMissing === undefined || !isMissingRow(reply.error)) throw reply.error;
    const { value, ifDone } = operation.#ifMissing;
    // A batch is repeated only where this failure harms nothing else.
    if (dataverseFault(reply.error)?.maybeDoneBefore === true && ifDone !== undefined) return ifDone;
    if (isFinal) throw reply.error;
    return value;
  }
}

/** Operations that succeed or fail together. */
export class ChangeSet<Ops extends readonly Operation<unknown>[]> {
  readonly operations: Ops;

  constructor(operations: Ops) {
    this.operations = operations;
  }
}

/**
 * Operations that succeed or fail together; none may read. In elastic tables they are not atomic.
 * @example
 * const account = accounts.prepare.create({ name: 'Contoso' });
 * const contact = contacts.prepare.create({ lastname: 'Lovelace', parentcustomerid_account: account });
 * const [created] = await dataverse.batch([changeSet(account, contact)]);
 */
export function changeSet<const Ops extends readonly Operation<unknown>[]>(
  ...operations: Ops
): ChangeSet<Ops> {
  return new ChangeSet(operations);
}
