import type { CallOptions } from '../../dataverse/transport/call.ts';
import { LinkGuard } from '../../dataverse/transport/link-guard.ts';
import { readObject, unreadable } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { DataverseError } from '../client/errors.ts';
import type { Row } from '../client/table-definition.ts';
import type { Expansion } from './query-state.ts';

/** @internal What a request for the rest of a collection repeats of the first one. */
export interface CompleteOptions {
  entitySet: string;
  /** The Prefer header: the page size and the annotations. */
  prefer?: string | undefined;
}

/** @internal
 * Reads the rest of expanded collections, in place. Dataverse sends the first part of a collection with a link to the next:
 * by page size where expansions are nested, otherwise beyond 5,000 rows (learn.microsoft.com: "Join tables using OData",
 * "Page results using Web API").
 * @throws LinkError for a link to another origin, or one that was followed before
 */
export async function completeRows(
  transport: Transport,
  rows: readonly Row[],
  expansions: readonly Expansion[],
  { entitySet, prefer }: CompleteOptions,
  options: CallOptions,
): Promise<void> {
  for (const row of rows) {
    for (const { navigation, state } of expansions) {
      const related = row[navigation];
      const member = `${navigation}@odata.nextLink`;
      const guard = new LinkGuard(transport.origin, entitySet);
      let url = transport.base;
      for (let part = 2; Array.isArray(related) && typeof row[member] === 'string'; part += 1) {
        if (related.length >= (state.top ?? Number.POSITIVE_INFINITY)) break;
        url = guard.follow(row[member], url, part);
        const call = {
          ...options,
          // These rows are of another table, whose columns the definition does not name.
          exact: options.exact && { ...options.exact, columns: [] },
          operation: `read part ${part} of ${navigation} of a row of ${entitySet}`,
          ...{ subject: 'expanded page', entitySet, url, headers: { Prefer: prefer } },
        };
        const next = await transport.send(call, (reply) => {
          const body = readObject(reply);
          if (!Array.isArray(body['value'])) throw unreadable(reply, 'it has no "value" array');
          return body;
        });
        for (const each of next['value'] as Row[]) related.push(each);
        row[member] = next['@odata.nextLink'];
      }
      delete row[member];
      if (state.expand.length === 0 || typeof related !== 'object' || related === null) continue;
      const all = (Array.isArray(related) ? related : [related]) as Row[];
      await completeRows(transport, all, state.expand, { entitySet, prefer }, options);
    }
  }
}

/** @internal @throws DataverseError if a collection has more rows than a part of a batch can have */
export function checkComplete(row: Row, expansions: readonly Expansion[]): void {
  for (const { navigation, state } of expansions) {
    const related = row[navigation];
    if (row[`${navigation}@odata.nextLink`] !== undefined) {
      throw new DataverseError(`The collection ${navigation} has more rows than a batch can return`, {
        hint: 'Read the row outside of a batch, or give the expansion a smaller top.',
      });
    }
    if (typeof related !== 'object' || related === null) continue;
    const all = (Array.isArray(related) ? related : [related]) as Row[];
    for (const each of all) checkComplete(each, state.expand);
  }
}
