import { environmentOrigin } from '../../config/environment-url.ts';
import { TokenSource } from '../../dataverse/transport/auth-policy.ts';
import { limiterFor } from '../../dataverse/transport/limiter.ts';
import { Transport } from '../../dataverse/transport/transport.ts';
import type { ChangeSet, Operation } from '../batch/operation.ts';
import { type BatchOptions, type OutcomeOf, sendBatch } from '../batch/send-batch.ts';
import { Metadata } from '../metadata/metadata.ts';
import { exactTextsOf } from '../rows/exact-numbers.ts';
import { actionCall, type FunctionParameter, functionCall, resultOf } from './call-function.ts';
import type { TokenCredential } from './credentials.ts';
import type { RequestOptions } from './options.ts';
import { type ResponseType, rawCall, rawResult } from './raw-call.ts';
import { Session } from './session.ts';
import { Table } from './table.ts';
import type { AnyTableDefinition, Row, TableDefinition, WritableRow } from './table-definition.ts';
import { toPublicError } from './to-public-error.ts';

/** Counters of the requests of a client. */
export interface RequestCounts {
  /** Attempts, retries included. */
  readonly requests: number;
  readonly retries: number;
  /** Responses with status 429. */
  readonly throttled: number;
  /** Bytes of bodies after decompression. */
  readonly bytesReceived: number;
  /** Bytes of bodies as transferred. */
  readonly wireBytes: number;
  /** Seconds spent waiting for the client's own limit, for `Retry-After` and before retries. */
  readonly waitedSeconds: number;
}

export interface DataverseOptions extends RequestOptions {
  /** The environment: `https://contoso.crm.dynamics.com`. Plain HTTP on loopback hosts only. */
  url: string;
  /** Any credential of `@azure/identity`, or one of `createCredential`. */
  credential: TokenCredential;
  /**
   * Most requests at the same time, even if Dataverse recommends more. All clients of one environment in a process share
   * one limit: that of the client that was created last.
   * @default 16
   */
  maxConcurrency?: number | undefined;
  /** Receives a line per response and retry, with ids and status; never a token, a query or values of rows. */
  log?:
    | ((
        level: 'debug' | 'info' | 'warn' | 'error',
        message: string,
        properties?: Record<string, unknown>,
      ) => void)
    | undefined;
  /** Certificate authority (PEM) of a private server. */
  ca?: string | undefined;
}

/** Another request to the Web API, for what has no method of its own. */
export interface RawRequest {
  /** @default 'GET' */
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE' | undefined;
  /** Below `/api/data/v9.2/`, encoded. */
  path: string;
  /** The value of the JSON body. */
  body?: unknown;
  headers?: Readonly<Record<string, string>> | undefined;
  /** Whether Dataverse may execute it twice without harm, so that it can be retried. @default true for GET only */
  idempotent?: boolean | undefined;
}

/** Microsoft Dataverse's Web API v9.2 of one environment. */
export class Dataverse {
  readonly #session: Session;
  /** `https://contoso.crm.dynamics.com` */
  readonly url: string;
  /** Reads and changes tables, columns, keys, relationships and choices. */
  readonly metadata: Metadata;

  private constructor(session: Session) {
    this.#session = session;
    this.url = session.transport.origin;
    this.metadata = new Metadata(session);
  }

  /** See `createDataverse`. */
  static create(options: DataverseOptions): Dataverse {
    const { url, credential, maxConcurrency = 16, log, ca, ...defaults } = options;
    try {
      const origin = environmentOrigin(url);
      const tokens = new TokenSource(credential, origin);
      const limiter = limiterFor(origin, maxConcurrency);
      const transport = new Transport({
        origin,
        tokens,
        limiter,
        log,
        tls: ca === undefined ? undefined : { ca },
      });
      return new Dataverse(new Session(transport, defaults));
    } catch (error) {
      throw toPublicError(error);
    }
  }

  /** Counters of all requests, also of those through `with`. */
  get stats(): RequestCounts {
    return { ...this.#session.transport.stats };
  }

  /**
   * A client with further options for all calls. It shares connections and limits with this one.
   * @example
   * const asAda = dataverse.with({ callerObjectId: adasObjectId });
   */
  with(options: RequestOptions): Dataverse {
    return new Dataverse(this.#session.with(options));
  }

  /**
   * A table, by a definition or by its logical name. Then the first call asks Dataverse for its other names, once.
   * @example
   * const accounts = dataverse.table<Account>('account');
   */
  table<R extends object = Row, W extends object = WritableRow<R>>(
    table: string | TableDefinition<R, W>,
  ): Table<R, W> {
    return new Table<R, W>(this.#session, table as string | AnyTableDefinition);
  }

  /**
   * Sends up to 1,000 operations in one request, with an outcome for each. The first failure ends it, unless
   * `continueOnError` is set.
   * @example
   * const [first, second] = await dataverse.batch([accounts.prepare.retrieve(id), contacts.prepare.delete(other)]);
   */
  batch<const Items extends readonly (Operation<unknown> | ChangeSet<readonly Operation<unknown>[]>)[]>(
    items: Items,
    options?: BatchOptions,
  ): Promise<{ [Index in keyof Items]: OutcomeOf<Items[Index]> }> {
    return sendBatch(this.#session, items, options);
  }

  /** The user, business unit and organisation behind the token, or of the user that is impersonated. */
  async whoAmI(
    options?: RequestOptions,
  ): Promise<{ userId: string; businessUnitId: string; organizationId: string }> {
    const { UserId, BusinessUnitId, OrganizationId } = (await this.callFunction('WhoAmI', {}, options)) ?? {};
    return {
      userId: String(UserId),
      businessUnitId: String(BusinessUnitId),
      organizationId: String(OrganizationId),
    };
  }

  /** Calls a function that is not bound to a table. */
  callFunction(
    name: string,
    parameters?: Readonly<Record<string, FunctionParameter>>,
    options?: RequestOptions,
  ): Promise<Row | undefined> {
    return this.#session.run(options, (transport, call) =>
      transport.send(
        { ...call, ...functionCall('', name, parameters), exact: this.#exact(options) },
        resultOf,
      ),
    );
  }

  /** Calls an action that is not bound to a table. It is not retried if Dataverse may have executed it. */
  callAction(
    name: string,
    parameters?: Readonly<Record<string, unknown>>,
    options?: RequestOptions,
  ): Promise<Row | undefined> {
    return this.#session.run(options, (transport, call) =>
      transport.send({ ...call, ...actionCall('', name, parameters), exact: this.#exact(options) }, resultOf),
    );
  }

  /**
   * Sends any other request, with the same token, retries and errors. Returns the JSON object of the response, or its text or
   * bytes: `accounts/$count` and `$metadata` are texts.
   */
  request(request: RawRequest & { responseType: 'text' }, options?: RequestOptions): Promise<string>;
  request(request: RawRequest & { responseType: 'bytes' }, options?: RequestOptions): Promise<Uint8Array>;
  request(
    request: RawRequest & { responseType?: 'json' | undefined },
    options?: RequestOptions,
  ): Promise<Row | undefined>;
  request(
    { method = 'GET', path, responseType, ...more }: RawRequest & { responseType?: ResponseType | undefined },
    options?: RequestOptions,
  ): Promise<unknown> {
    return this.#session.run(options, async (transport, call) => {
      const reply = await transport.send(
        rawCall({ ...call, exact: this.#exact(options) }, method, path, { ...more, responseType }),
        (received) => received,
      );
      return rawResult(reply, responseType);
    });
  }

  #exact(options: RequestOptions | undefined) {
    return exactTextsOf(this.#session.options(options), undefined);
  }
}

/**
 * Creates a client. It sends no request yet.
 * @throws UsageError if the URL is not `https:` (or `http:` on a loopback host), or has a path
 * @example
 * const dataverse = createDataverse({
 *   url: 'https://contoso.crm.dynamics.com',
 *   credential: createCredential({ tenantId, clientId, clientSecret }),
 * });
 */
export function createDataverse(options: DataverseOptions): Dataverse {
  return Dataverse.create(options);
}
