/**
 * A client for Dataverse's Web API. It is a library for other programs as well as the sync's reader, so it has
 * functions that this project does not call.
 * @module
 */

import type { TokenCredential } from '@azure/core-auth';
import { environmentOrigin } from '../config/environment-url.ts';
import { inSpan } from '../telemetry/tracing.ts';
import { readAttributes } from './metadata/attributes.ts';
import { readChoiceColumns, readChoiceMetadata, readGlobalChoices } from './metadata/choice-metadata.ts';
import { readBaseLanguage, readChoices } from './metadata/choices.ts';
import { readDisplayNames } from './metadata/display-names.ts';
import { readEntityDefinitions } from './metadata/entity-definitions.ts';
import { readMetadataDocument, readMetadataVersion } from './metadata/metadata-document.ts';
import { readOrganizationId } from './metadata/who-am-i.ts';
import { count } from './read/count.ts';
import { readByIds } from './read/read-by-ids.ts';
import { readPages } from './read/read-pages.ts';
import { readRow } from './read/read-row.ts';
import { TokenSource } from './transport/auth-policy.ts';
import type { Call } from './transport/call.ts';
import { limiterFor } from './transport/limiter.ts';
import type { Reply } from './transport/reply.ts';
import type { RequestStats } from './transport/stats.ts';
import { Transport, type TransportOptions } from './transport/transport.ts';
import { batch } from './write/batch.ts';
import { deleteFile, downloadFile, uploadFile } from './write/files.ts';
import { writeBulk } from './write/write-bulk.ts';
import { create, deleteRow, update, upsert } from './write/write-row.ts';

export { type Page, parseRows } from './read/page.ts';
export type { IdQuery } from './read/read-by-ids.ts';
export type { PageQuery } from './read/read-pages.ts';
export type { CallOptions } from './transport/call.ts';

export interface DataverseClientOptions
  extends Omit<TransportOptions, 'origin' | 'tokens' | 'limiter' | 'trace'> {
  /** The environment, `https://org.crm.dynamics.com`; plain HTTP on loopback hosts only. */
  url: string;
  credential: TokenCredential;
  /** Maximum number of concurrent requests, even if the server recommends more. @default 16 */
  maxConcurrency?: number | undefined;
}

/** The functions of the client, documented where they are defined. Each takes the transport as first argument. */
const operations = {
  readPages,
  readByIds,
  readRow,
  count,
  readMetadataDocument,
  readMetadataVersion,
  readEntityDefinitions,
  readChoices,
  readChoiceColumns,
  readChoiceMetadata,
  readGlobalChoices,
  readBaseLanguage,
  readOrganizationId,
  readAttributes,
  readDisplayNames,
  create,
  upsert,
  update,
  delete: deleteRow,
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

/** The Web API v9.2 of one environment. */
export type DataverseClient = {
  readonly [Name in keyof typeof operations]: Bound<(typeof operations)[Name]>;
} & {
  readonly origin: string;
  /** Counters of this client's requests. */
  readonly stats: RequestStats;
};

/**
 * Creates a client. It sends no request yet.
 * @throws ConfigurationError if the URL is not `https:` (or `http:` on a loopback host), or has a path
 * @example
 * const client = createDataverseClient({
 *   url: 'https://contoso.crm.dynamics.com',
 *   credential: createCredential({ tenantId, clientId, clientSecret }),
 * });
 * const account = await client.readRow('accounts', id, { select: ['name'] });
 */
export function createDataverseClient(options: DataverseClientOptions): DataverseClient {
  const origin = environmentOrigin(options.url);
  const tokens = new TokenSource(options.credential, origin);
  const limiter = limiterFor(origin, options.maxConcurrency ?? 16);
  const transport = new Transport({ ...options, origin, tokens, limiter, trace: inSpan });
  const bound = Object.entries(operations).map(([name, operation]) => [
    name,
    (operation as (...args: unknown[]) => unknown).bind(undefined, transport),
  ]);
  return { ...Object.fromEntries(bound), origin, stats: transport.stats };
}
