import { queryString } from '../../dataverse/read/query.ts';
import { readObject } from '../../dataverse/transport/reply.ts';
import type { RequestOptions } from '../client/options.ts';
import type { Session } from '../client/session.ts';
import type { Row } from '../client/table-definition.ts';
import { withoutContext } from '../rows/without-context.ts';
import { tablePath } from './paths.ts';

export interface ReadDefinitionOptions extends RequestOptions {
  /** Properties of the definition: `['SchemaName', 'EntitySetName']`. @default all */
  select?: readonly string[] | undefined;
  /** In OData's own syntax: `Attributes($select=LogicalName,AttributeType),Keys`. */
  expand?: string | undefined;
}

/** Reads and changes the definitions of tables. */
export class Metadata {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Reads the definition of a table, as it is now: Dataverse's cache is not used.
   * learn.microsoft.com: "Query schema definitions", "EntityMetadata EntityType".
   */
  readTable(logicalName: string, options: ReadDefinitionOptions = {}): Promise<Row> {
    const { select, expand } = options;
    return this.#session.run(options, async (transport, call) => {
      const url = tablePath(logicalName) + queryString({ select, expand });
      const headers = { Consistency: 'Strong' };
      const operation = `read the definition of ${logicalName}`;
      const read = { ...call, operation, entitySet: 'EntityDefinitions', url, headers };
      return withoutContext(await transport.send(read, readObject));
    });
  }
}
