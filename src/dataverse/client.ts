import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient, TlsSettings } from '@azure/core-rest-pipeline';
import { TokenSource } from './auth-policy.ts';
import {
  type EntityDefinition,
  type ManyToManyRelationship,
  readEntityDefinitions,
  readManyToMany,
} from './entity-definitions.ts';
import { limiterFor } from './limiter.ts';
import { environmentOrigin } from './links.ts';
import { count, type MetadataDocument, readMetadataDocument, readMetadataVersion } from './metadata.ts';
import type { Page } from './page.ts';
import { type IdQuery, type PageQuery, readByIds, readPages } from './read-pages.ts';
import type { RetryOptions } from './retry.ts';
import type { RequestStats } from './stats.ts';
import { type CallOptions, type Log, Transport } from './transport.ts';

export type { Page } from './page.ts';
export type { IdQuery, PageQuery } from './read-pages.ts';
export type { CallOptions } from './transport.ts';

export interface DataverseClientOptions {
  /** `https://org.crm.dynamics.com`, or plain http on this machine. */
  url: string;
  credential: TokenCredential;
  /** How many requests run at once at most, whatever the server recommends. @default 16 */
  maxConcurrency?: number | undefined;
  retry?: Partial<RetryOptions> | undefined;
  /** Gets operations, statuses and ids; never a URL's query, a body or a token. */
  log?: Log | undefined;
  /** The transport underneath, for tests. */
  httpClient?: HttpClient | undefined;
  /** A certificate authority of one's own. */
  tls?: TlsSettings | undefined;
  /** Numbers in [0, 1) for the jitter. @default Math.random */
  random?: (() => number) | undefined;
}

/** Dataverse's Web API v9.2, of one environment. */
export interface DataverseClient {
  readonly origin: string;
  /** Running totals of this client. */
  readonly stats: RequestStats;
  readPages(query: PageQuery, options?: CallOptions): AsyncGenerator<Page>;
  readByIds(query: IdQuery, options?: CallOptions): AsyncGenerator<Page>;
  readMetadataDocument(
    options?: CallOptions & { etag?: string | undefined },
  ): Promise<MetadataDocument | 'unchanged'>;
  readMetadataVersion(
    entitySet: string,
    primaryKey: string,
    options?: CallOptions,
  ): Promise<string | undefined>;
  readEntityDefinitions(options?: CallOptions): Promise<EntityDefinition[]>;
  readManyToMany(options?: CallOptions): Promise<ManyToManyRelationship[]>;
  count(entitySet: string, options?: CallOptions): Promise<number | undefined>;
}

/** @throws ConfigurationError where the address is not https (or http on this machine) */
export function createDataverseClient(options: DataverseClientOptions): DataverseClient {
  const origin = environmentOrigin(options.url);
  const transport = new Transport({
    origin,
    tokens: new TokenSource(options.credential, origin),
    limiter: limiterFor(origin, options.maxConcurrency ?? 16),
    httpClient: options.httpClient,
    tls: options.tls,
    log: options.log,
    retry: options.retry,
    random: options.random,
  });
  return {
    origin,
    stats: transport.stats,
    readPages: (query, call) => readPages(transport, query, call),
    readByIds: (query, call) => readByIds(transport, query, call),
    readMetadataDocument: (call) => readMetadataDocument(transport, call),
    readMetadataVersion: (set, key, call) => readMetadataVersion(transport, set, key, call),
    readEntityDefinitions: (call) => readEntityDefinitions(transport, call),
    readManyToMany: (call) => readManyToMany(transport, call),
    count: (set, call) => count(transport, set, call),
  };
}
