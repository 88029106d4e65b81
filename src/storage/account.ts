import type { TokenCredential } from '@azure/core-auth';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { ConfigurationError } from '../errors.ts';
import { rememberSecret } from '../safe-text.ts';
import { traceStorageRequests } from './request-spans.ts';

/** How to connect to the blobs of a storage account: a connection string, or their address and an identity. */
export type BlobConnection =
  | { connectionString: string }
  | { blobServiceUri: string; credential: TokenCredential };

/** How to connect to the blobs and queues of a storage account. */
export type StorageConnection =
  | { connectionString: string }
  | { blobServiceUri: string; queueServiceUri: string; credential: TokenCredential };

export interface StorageAccount {
  blobs: BlobServiceClient;
  queues: QueueServiceClient;
}

/** Tries of one request, the first one included, with delays from 0.5 s to 8 s between them. */
const retryOptions = { maxTries: 5, retryDelayInMs: 500, maxRetryDelayInMs: 8_000 };

/**
 * Creates the clients of a storage account. Sends no request.
 * @throws ConfigurationError if the connection is not valid. The error does not contain its text.
 */
export function openStorageAccount(connection: StorageConnection): StorageAccount {
  const blobs = openBlobs(connection);
  const queues = open(() => {
    if ('connectionString' in connection) {
      return QueueServiceClient.fromConnectionString(connection.connectionString, { retryOptions });
    }
    const { queueServiceUri, credential } = connection;
    return new QueueServiceClient(new URL(queueServiceUri).href, credential, { retryOptions });
  });
  return { blobs, queues };
}

/**
 * Creates the client of an account's blobs. Sends no request.
 * @throws ConfigurationError as `openStorageAccount` does
 */
export function openBlobs(connection: BlobConnection): BlobServiceClient {
  traceStorageRequests();
  return open(() => {
    if ('connectionString' in connection) {
      rememberSecret(/\bAccountKey=([^;]+)/i.exec(connection.connectionString)?.[1]);
      return BlobServiceClient.fromConnectionString(connection.connectionString, { retryOptions });
    }
    const { blobServiceUri, credential } = connection;
    return new BlobServiceClient(new URL(blobServiceUri).href, credential, { retryOptions });
  });
}

function open<Client>(create: () => Client): Client {
  try {
    return create();
  } catch {
    // Without the cause: messages about a connection string can quote its key.
    throw new ConfigurationError('The storage connection is not valid', {
      operation: 'open the storage account',
      hint: 'Set a complete connection string (AccountName, AccountKey, endpoints), or blobServiceUri and queueServiceUri as https addresses.',
    });
  }
}
