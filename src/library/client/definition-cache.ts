import { checkName } from '../../dataverse/read/query.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import { readObject } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { UsageError } from './errors.ts';
import type { AnyTableDefinition } from './table-definition.ts';

interface Entry {
  definition: Promise<AnyTableDefinition>;
  /** Calls that wait for the definition. The last one that is aborted ends the request. */
  waiting: number;
  stop: AbortController;
}

/** The definitions of tables that were used by logical name. Each is read once. */
export class DefinitionCache {
  readonly #known = new Map<string, Entry>();

  /** @throws like a request, and UsageError for a table that the Web API does not expose */
  async find(transport: Transport, logicalName: string, options: CallOptions): Promise<AnyTableDefinition> {
    const { signal } = options;
    signal?.throwIfAborted();
    const entry = this.#known.get(logicalName) ?? this.#read(transport, logicalName, options);
    entry.waiting += 1;
    try {
      return await untilAborted(entry.definition, signal);
    } finally {
      entry.waiting -= 1;
      if (entry.waiting === 0 && signal?.aborted) {
        this.#known.delete(logicalName);
        entry.stop.abort();
      }
    }
  }

  forget(logicalName: string): void {
    this.#known.delete(logicalName);
  }

  /** Starts a request. It has a signal of its own, because others may wait for it when the first call is aborted. */
  #read(transport: Transport, logicalName: string, options: CallOptions): Entry {
    const stop = new AbortController();
    const definition = read(transport, logicalName, { ...options, signal: stop.signal });
    const entry = { definition, waiting: 0, stop };
    this.#known.set(logicalName, entry);
    definition.catch(() => {
      if (this.#known.get(logicalName) === entry) this.#known.delete(logicalName);
    });
    return entry;
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

async function read(
  transport: Transport,
  logicalName: string,
  options: CallOptions,
): Promise<AnyTableDefinition> {
  const call = {
    ...options,
    operation: `read the definition of ${logicalName}`,
    entitySet: 'EntityDefinitions',
    url: `EntityDefinitions(LogicalName='${checkName(logicalName, 'logical name')}')?$select=LogicalName,EntitySetName,PrimaryIdAttribute`,
  };
  const row = await transport.send(call, readObject);
  const { EntitySetName: entitySet, PrimaryIdAttribute: primaryId } = row;
  if (typeof entitySet !== 'string' || entitySet === '' || typeof primaryId !== 'string') {
    throw new UsageError(`The Web API does not expose the table ${logicalName}`, {
      hint: 'Check the logical name, which is singular and in lower case: account.',
    });
  }
  return { logicalName, entitySet, primaryId };
}
