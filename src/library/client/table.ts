import { randomUUID } from 'node:crypto';
import { parseRows } from '../../dataverse/read/page.ts';
import { annotationsPreference, checkName, rowPath } from '../../dataverse/read/query.ts';
import { followPages } from '../../dataverse/read/read-pages.ts';
import { readRowIfChanged } from '../../dataverse/read/read-row.ts';
import { associate, disassociate, type Link, setLookup } from '../../dataverse/write/links.ts';
import { create, deleteRow, upsert } from '../../dataverse/write/write-row.ts';
import type { Operation } from '../batch/operation.ts';
import { FileColumn } from '../files/file-column.ts';
import { type Aggregation, applyText, exactNames } from '../query/aggregate.ts';
import { Changes, type ChangesOptions } from '../query/changes.ts';
import { completeRows } from '../query/complete-rows.ts';
import { type FetchXmlOptions, FetchXmlQuery } from '../query/fetch-query.ts';
import { Query, type QuerySource } from '../query/query.ts';
import { writeMany } from '../rows/bulk.ts';
import type { BulkOptions, CreateManyOptions } from '../rows/bulk-options.ts';
import { BulkResult } from '../rows/bulk-result.ts';
import { bodyFor, exactTextsOf } from '../rows/exact-numbers.ts';
import { keyFor } from '../rows/number-texts.ts';
import {
  createOperation,
  deleteOperation,
  type UpsertResult,
  updateOperation,
  upsertOperation,
  withRow,
} from '../rows/operations.ts';
import { Outcomes } from '../rows/outcomes.ts';
import { toExpansions, toReadOptions } from '../rows/read-options.ts';
import type { Reference, RowKey } from '../rows/reference.ts';
import type {
  CreateOptions,
  DeleteOptions,
  RetrieveOptions,
  UpdateOptions,
  UpsertOptions,
} from '../rows/row-options.ts';
import { sendMany } from '../rows/send-many.ts';
import { withoutContext } from '../rows/without-context.ts';
import { actionCall, type FunctionParameter, functionCall, resultOf } from './call-function.ts';
import { checkedHeader, type RequestOptions } from './options.ts';
import { type PreparedOperations, prepareOperations } from './prepared-operations.ts';
import type { Session } from './session.ts';
import type { AnyTableDefinition, ColumnOf, Row, Selected } from './table-definition.ts';

/**
 * One table. Its methods throw `DataverseError` or a class derived from it.
 * `R` is the type of its rows, `W` that of the values to write; see `defineTable`.
 */
export class Table<R extends object = Row, W extends object = Row> {
  readonly #source: QuerySource;
  /** The same operations, for `dataverse.batch`. */
  readonly prepare: PreparedOperations<R, W>;

  /** @internal */
  constructor(session: Session, table: string | AnyTableDefinition) {
    this.#source = sourceOf(session, table);
    this.prepare = prepareOperations<R, W>(this.#source);
  }

  /** The names of the table. For a table that was named by its logical name only, the first call asks Dataverse. */
  definition(options?: RequestOptions): Promise<AnyTableDefinition> {
    return this.#source.session.run(options, () => this.#source.definition(options));
  }

  /**
   * Creates a row and returns its id, or the columns in `returning`. It is not retried if Dataverse may have executed it,
   * unless the values contain the primary key: the error says `maybeExecuted`.
   * @throws DuplicateError if the id or an alternate key exists
   */
  create(values: W, options?: RequestOptions): Promise<string>;
  create<C extends ColumnOf<R>>(
    values: W,
    options: CreateOptions<C> & { returning: readonly C[] },
  ): Promise<Selected<R, C>>;
  create(values: W, options: CreateOptions<string> = {}): Promise<unknown> {
    return this.#run(options, async (transport, table, call) => {
      const { entitySet, primaryId } = table;
      const own = { ...call, returning: options.returning, idColumn: primaryId };
      const { id, row } = await create(transport, entitySet, bodyFor(table, values as Row), own);
      return options.returning === undefined ? id : withoutContext(row ?? {});
    });
  }

  /** Reads a row by id or alternate key; undefined if it does not exist. */
  retrieve<C extends ColumnOf<R> = ColumnOf<R>>(
    key: RowKey,
    options: RetrieveOptions<Selected<R, C>, C> = {},
  ): Promise<Selected<R, C> | undefined> {
    return this.#run(
      options,
      async (transport, table, call) => {
        const { entitySet } = table;
        const own = { ...call, ...toReadOptions(options as RetrieveOptions<object, string>) };
        const known = options.known as Row | undefined;
        const row = await readRowIfChanged(transport, entitySet, keyFor(table, key), known, own);
        if (row === undefined || row === known) return row;
        const expansions = toExpansions(options.expand);
        const rest = { entitySet, prefer: annotationsPreference(own.annotations) };
        await completeRows(transport, [row], expansions, rest, call);
        return withoutContext(row);
      },
      { hasOthers: options.expand !== undefined },
    ) as Promise<Selected<R, C> | undefined>;
  }

  /**
   * Updates a row. It never creates one. Returns the columns in `returning`.
   * @throws NotFoundError if the row does not exist, ConcurrencyError if it has another version than `etag`
   */
  update(key: RowKey, values: W, options?: UpdateOptions<never>): Promise<undefined>;
  update<C extends ColumnOf<R>>(
    key: RowKey,
    values: W,
    options: UpdateOptions<C> & { returning: readonly C[] },
  ): Promise<Selected<R, C>>;
  async update(key: RowKey, values: W, options: UpdateOptions<string> = {}): Promise<unknown> {
    const { row } = await this.#upsert(key, values, { ...options, mode: 'update' });
    return row;
  }

  /**
   * Updates a row or creates it. The columns of the key need not be in the values. It is retried: repeating it does no harm.
   * @throws DuplicateError if the row exists and the mode is `create`; NotFoundError if it does not and the mode is `update`
   */
  upsert<C extends ColumnOf<R>>(
    key: RowKey,
    values: W,
    options: UpsertOptions<C> = {},
  ): Promise<UpsertResult & { readonly row?: Selected<R, C> }> {
    return this.#upsert(key, values, options) as Promise<UpsertResult & { readonly row?: Selected<R, C> }>;
  }

  /** Deletes a row. Returns whether it existed. @throws ConcurrencyError if it has another version than `etag` */
  delete(key: RowKey, options: DeleteOptions = {}): Promise<boolean> {
    return this.#run(options, (transport, table, call) =>
      deleteRow(transport, table.entitySet, keyFor(table, key), {
        ...call,
        etag: checkedHeader('If-Match', options.etag),
      }),
    );
  }

  /**
   * Creates many rows; the values are their ids. Invalid rows do not stop the others. A request that Dataverse may have
   * executed is not repeated, unless `assignIds` makes that harmless.
   */
  async createMany(
    rows: readonly W[],
    { assignIds = false, ...options }: CreateManyOptions = {},
  ): Promise<BulkResult<string>> {
    const table = await this.definition(options);
    const { primaryId } = table;
    const ids = assignIds ? rows.map(() => randomUUID()) : [];
    // A row that brings its own id may exist already, so that nothing follows from a conflict.
    const areAllOurs = assignIds && rows.every((row) => (row as Row)[primaryId] === undefined);
    return writeMany(
      this.#source,
      {
        message: 'CreateMultiple',
        count: rows.length,
        body: (index) => {
          const body = bodyFor(table, rows[index] as Row);
          if (assignIds) body[primaryId] ??= ids[index];
          return body;
        },
        ownId: areAllOurs ? (index) => ids[index]! : undefined,
        valueFor: (id) => id ?? '',
        single: (_, row) => createOperation(this.#source, row) as Operation<string>,
      },
      options,
    );
  }

  /** Updates many rows, each with its primary key among its values. A row that does not exist is rejected. */
  async updateMany(rows: readonly W[], options?: BulkOptions): Promise<BulkResult<undefined>> {
    const table = await this.definition(options);
    const { primaryId } = table;
    return writeMany<undefined>(
      this.#source,
      {
        message: 'UpdateMultiple',
        count: rows.length,
        body: (index) => bodyFor(table, rows[index] as Row),
        valueFor: () => undefined,
        single: (_, row) => {
          const { [primaryId]: id, ...values } = row;
          return updateOperation(this.#source, String(id), values) as Operation<undefined>;
        },
      },
      options,
    );
  }

  /** Updates or creates many rows, each with its key and its values. */
  async upsertMany(
    rows: readonly { key: RowKey; values: W }[],
    options?: BulkOptions,
  ): Promise<BulkResult<undefined>> {
    const table = await this.definition(options);
    const { entitySet, primaryId } = table;
    return writeMany<undefined>(
      this.#source,
      {
        message: 'UpsertMultiple',
        count: rows.length,
        body: (index) => {
          const { key, values } = rows[index]!;
          if (typeof key === 'string') return { ...bodyFor(table, values as Row), [primaryId]: key };
          // Dataverse rejects the columns of an alternate key among the values of a row that it creates.
          const others = without(bodyFor(table, values as Row), Object.keys(key));
          return { '@odata.id': rowPath(entitySet, keyFor(table, key)), ...others };
        },
        valueFor: () => undefined,
        single: (index, row) => {
          const values = without(row, [primaryId, '@odata.id']);
          return upsertOperation(this.#source, rows[index]!.key, values) as Operation<never>;
        },
      },
      options,
    );
  }

  /**
   * Deletes many rows; the values say whether a row existed. Standard tables have no bulk message: batches do it. If the
   * response to a batch was lost, rows that it had deleted count as missing.
   */
  async deleteMany(keys: readonly RowKey[], options: BulkOptions = {}): Promise<BulkResult<boolean>> {
    const outcomes = new Outcomes<boolean>(keys.length, options.onProgress);
    const operations = keys.map((key, index) => ({
      index,
      make: () => deleteOperation(this.#source, key),
    }));
    await sendMany(this.#source, operations, outcomes, options);
    outcomes.throwIfAborted(this.#source.session.options(options).signal);
    return new BulkResult(outcomes.list);
  }

  /**
   * Adds a row to a collection-valued navigation property. A connection that exists is not an error.
   * @example
   * await accounts.associate(id, 'accountleads_association', reference('leads', leadId));
   */
  associate(
    key: RowKey,
    navigationProperty: string,
    target: Reference,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#link(key, navigationProperty, target, options, associate);
  }

  /** Removes a row from a collection-valued navigation property. Returns false if Dataverse says that there is no such row. */
  disassociate(
    key: RowKey,
    navigationProperty: string,
    target: Reference,
    options?: RequestOptions,
  ): Promise<boolean> {
    return this.#link(key, navigationProperty, target, options, disassociate);
  }

  /** Sets a lookup by its single-valued navigation property, without an update of the row. */
  setLookup(
    key: RowKey,
    navigationProperty: string,
    target: Reference,
    options?: RequestOptions,
  ): Promise<void> {
    return this.#link(key, navigationProperty, target, options, setLookup);
  }

  /** Clears a lookup. */
  async clearLookup(key: RowKey, navigationProperty: string, options?: RequestOptions): Promise<void> {
    await this.#run(options, (transport, table, call) => {
      const { entitySet } = table;
      const path = rowPath(entitySet, keyFor(table, key));
      return disassociate(transport, { path, entitySet, navigationProperty }, call);
    });
  }

  /** A query on the rows. */
  query(): Query<R> {
    return new Query<R>(this.#source);
  }

  /** Sums, counts and groups, computed by Dataverse over up to 50,000 rows. */
  aggregate<T extends object = Row>(aggregation: Aggregation<R>, options?: RequestOptions): Promise<T[]> {
    return this.#run(
      options,
      async (transport, table, plain) => {
        const { entitySet, decimals } = table;
        const apply = applyText(aggregation, table);
        const own = { ...table, decimals: decimals && exactNames(aggregation, decimals) };
        const { session } = this.#source;
        const call = { ...plain, exact: exactTextsOf(session.options(options), own, { hasOthers: true }) };
        const rows: T[] = [];
        for await (const page of followPages(transport, { entitySet, apply }, call)) {
          rows.push(...(parseRows(page) as T[]));
        }
        return rows;
      },
      { hasOthers: true },
    );
  }

  /** A query in FetchXML, whose entity is this table. */
  fetchXml<T extends object = R>(xml: string, options?: FetchXmlOptions): FetchXmlQuery<T> {
    return new FetchXmlQuery<T>(this.#source, xml, options);
  }

  /** All rows and a token, or the changes since a token. The table must have change tracking. */
  changes<C extends ColumnOf<R> = ColumnOf<R>>(
    options?: ChangesOptions & { select?: readonly C[] | undefined },
  ): Changes<Selected<R, C>> {
    return new Changes<Selected<R, C>>(this.#source, options);
  }

  /** A file or image column of a row. */
  file(id: string, column: ColumnOf<R>): FileColumn {
    return new FileColumn(this.#source, id, column);
  }

  /** Calls a function that is bound to a row, or with `undefined` to the table. */
  callFunction(
    key: RowKey | undefined,
    name: string,
    parameters?: Readonly<Record<string, FunctionParameter>>,
    options?: RequestOptions,
  ): Promise<Row | undefined> {
    return this.#run(
      options,
      (transport, table, call) =>
        transport.send(
          { ...call, ...functionCall(boundTo(table, key), name, parameters), entitySet: table.entitySet },
          resultOf,
        ),
      { hasOthers: true },
    );
  }

  /** Calls an action that is bound to a row, or with `undefined` to the table. It is not retried like a create. */
  callAction(
    key: RowKey | undefined,
    name: string,
    parameters?: Readonly<Record<string, unknown>>,
    options?: RequestOptions,
  ): Promise<Row | undefined> {
    return this.#run(
      options,
      (transport, table, call) =>
        transport.send(
          { ...call, ...actionCall(boundTo(table, key), name, parameters), entitySet: table.entitySet },
          resultOf,
        ),
      { hasOthers: true },
    );
  }

  #link<T>(
    key: RowKey,
    navigationProperty: string,
    target: Reference,
    options: RequestOptions | undefined,
    write: (transport: RunArguments[0], link: Link & { target: string }, call: RunArguments[1]) => Promise<T>,
  ): Promise<T> {
    return this.#run(options, (transport, table, call) => {
      const { entitySet } = table;
      const path = rowPath(entitySet, keyFor(table, key));
      const link = { path, entitySet, navigationProperty, target: String(target) };
      return write(transport, link, call);
    });
  }

  #upsert(key: RowKey, values: W, options: UpsertOptions<string>) {
    const { mode, returning } = options;
    return this.#run(options, async (transport, table, call) => {
      const own = { ...call, mode, etag: checkedHeader('If-Match', options.etag), returning };
      return withRow(
        await upsert(transport, table.entitySet, keyFor(table, key), bodyFor(table, values as Row), own),
      );
    });
  }

  /** @param hasOthers the response has rows of other tables, or values that are not columns */
  #run<T>(
    options: RequestOptions | undefined,
    work: (...args: WorkArguments) => Promise<T>,
    { hasOthers = false } = {},
  ): Promise<T> {
    const { session } = this.#source;
    return session.run(options, async (transport, call) => {
      const table = await this.#source.definition(options);
      const exact = exactTextsOf(session.options(options), table, { hasOthers });
      return work(transport, table, { ...call, exact });
    });
  }
}

type RunArguments = Parameters<Parameters<Session['run']>[1]>;
type WorkArguments = [transport: RunArguments[0], table: AnyTableDefinition, call: RunArguments[1]];

function sourceOf(session: Session, table: string | AnyTableDefinition): QuerySource {
  if (typeof table !== 'string') return { session, definition: async () => table };
  return {
    session,
    definition: (options) =>
      session.run(options, (transport, call) => session.definitions.find(transport, table, call)),
  };
}

function boundTo(table: AnyTableDefinition, key: RowKey | undefined): string {
  const { entitySet } = table;
  const path =
    key === undefined ? checkName(entitySet, 'entity set name') : rowPath(entitySet, keyFor(table, key));
  return `${path}/`;
}

function without(
  values: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)));
}
