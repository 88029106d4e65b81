import { checkName } from '../../dataverse/read/query.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import { readObject } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { UsageError } from './errors.ts';
import type { AnyTableDefinition } from './table-definition.ts';

/** The definitions of tables that were used by logical name. Each is read once. */
export class DefinitionCache {
  readonly #known = new Map<string, Promise<AnyTableDefinition>>();

  /** @throws like a request, and UsageError for a table that the Web API does not expose */
  find(transport: Transport, logicalName: string, options: CallOptions): Promise<AnyTableDefinition> {
    const known = this.#known.get(logicalName);
    if (known !== undefined) return known;
    // An aborted call must not fail for others that wait for the same definition.
    const reading = read(transport, logicalName, { ...options, signal: undefined });
    this.#known.set(logicalName, reading);
    reading.catch(() => this.#known.delete(logicalName));
    return reading;
  }

  forget(logicalName: string): void {
    this.#known.delete(logicalName);
  }
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
