import type { TokenCredential } from '@azure/core-auth';
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
import type { RequestStats } from './stats.ts';
import { type Call, type Reply, Transport, type TransportOptions } from './transport.ts';
import { associate, create, deleteRow, disassociate, readRow, update, upsert } from './write.ts';

export type { Page } from './page.ts';
export type { IdQuery, PageQuery } from './read-pages.ts';
export type { CallOptions } from './transport.ts';

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
