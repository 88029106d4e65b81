import type { TokenCredential } from '@azure/core-auth';
import { environmentOrigin } from '../config/environment-url.ts';
import { readChoiceMetadata } from './metadata/choice-metadata.ts';
import { readBaseLanguage, readChoices } from './metadata/choices.ts';
import { readEntityDefinitions } from './metadata/entity-definitions.ts';
import { count, readMetadataDocument, readMetadataVersion } from './metadata/metadata.ts';
import { readByIds, readPages } from './read/read-pages.ts';
import { TokenSource } from './transport/auth-policy.ts';
import { limiterFor } from './transport/limiter.ts';
import type { RequestStats } from './transport/stats.ts';
import { type Call, type Reply, Transport, type TransportOptions } from './transport/transport.ts';
import { batch } from './write/batch.ts';
import { writeBulk } from './write/bulk.ts';
import { deleteFile, downloadFile, uploadFile } from './write/files.ts';
import { associate, create, deleteRow, disassociate, readRow, update, upsert } from './write/write.ts';

export type { Page } from './read/page.ts';
export type { IdQuery, PageQuery } from './read/read-pages.ts';
export type { CallOptions } from './transport/transport.ts';

export interface DataverseClientOptions extends Omit<TransportOptions, 'origin' | 'tokens' | 'limiter'> {
  /** `https://org.crm.dynamics.com`, or plain http on this machine. */
  url: string;
  credential: TokenCredential;
  /** How many requests run at once at most, whatever the server recommends. @default 16 */
  maxConcurrency?: number | undefined;
}

/** What the client can do: each function takes the transport first, and each is documented where it stands. */
const operations = {
  readPages,
  readByIds,
  readRow,
  readMetadataDocument,
  readMetadataVersion,
  readEntityDefinitions,
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
  /** Any other request (functions, actions, table definitions), with the same token, retries and errors. */
  request: (transport: Transport, call: Call): Promise<Reply> => transport.send(call, (reply) => reply),
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
