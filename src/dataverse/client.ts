import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient, TlsSettings } from '@azure/core-rest-pipeline';
import { TokenSource } from './auth-policy.ts';
import { batch } from './batch.ts';
import { writeBulk } from './bulk.ts';
import { readChoiceMetadata } from './choice-metadata.ts';
import { readBaseLanguage, readChoices } from './choices.ts';
import { readEntityDefinitions, readManyToMany } from './entity-definitions.ts';
import { deleteFile, downloadFile, uploadFile } from './files.ts';
import { limiterFor } from './limiter.ts';
import { environmentOrigin } from './links.ts';
import { count, readMetadataDocument, readMetadataVersion } from './metadata.ts';
import { readByIds, readPages } from './read-pages.ts';
import type { RetryOptions } from './retry.ts';
import type { RequestStats } from './stats.ts';
import { type Log, request, Transport } from './transport.ts';
import { associate, create, deleteRow, disassociate, readRow, update, upsert } from './write.ts';

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

/** What the client can do: each function takes the transport first, and each is documented where it stands. */
const operations = {
  readPages,
  readByIds,
  readRow,
  readMetadataDocument,
  readMetadataVersion,
  readEntityDefinitions,
  readManyToMany,
  readChoices,
  readChoiceMetadata,
  readBaseLanguage,
  count,
  create,
  upsert,
  update,
  delete: deleteRow,
  associate,
  disassociate,
  writeBulk,
  batch,
  uploadFile,
  downloadFile,
  deleteFile,
  request,
};

type Bound<Operation> = Operation extends (transport: Transport, ...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** Dataverse's Web API v9.2, of one environment. */
export type DataverseClient = {
  readonly [Name in keyof typeof operations]: Bound<(typeof operations)[Name]>;
} & {
  readonly origin: string;
  /** Running totals of this client. */
  readonly stats: RequestStats;
};

/** @throws ConfigurationError where the address is not https (or http on this machine) */
export function createDataverseClient(options: DataverseClientOptions): DataverseClient {
  const origin = environmentOrigin(options.url);
  const tokens = new TokenSource(options.credential, origin);
  const limiter = limiterFor(origin, options.maxConcurrency ?? 16);
  const transport = new Transport({ ...options, origin, tokens, limiter });
  const bound = Object.entries(operations).map(([name, operation]) => [
    name,
    (operation as (...args: unknown[]) => unknown).bind(undefined, transport),
  ]);
  return { ...Object.fromEntries(bound), origin, stats: transport.stats };
}
