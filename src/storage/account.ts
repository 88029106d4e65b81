import type { TokenCredential } from '@azure/core-auth';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { ConfigurationError } from '../errors.ts';
import { rememberSecret } from '../safe-text.ts';

/** How to connect to a storage account: a connection string, or its addresses and an identity. */
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
  try {
    if ('connectionString' in connection) {
      rememberSecret(/\bAccountKey=([^;]+)/i.exec(connection.connectionString)?.[1]);
      return {
        blobs: BlobServiceClient.fromConnectionString(connection.connectionString, { retryOptions }),
        queues: QueueServiceClient.fromConnectionString(connection.connectionString, { retryOptions }),
      };
    }
    const { blobServiceUri, queueServiceUri, credential } = connection;
    return {
      blobs: new BlobServiceClient(new URL(blobServiceUri).href, credential, { retryOptions }),
      queues: new QueueServiceClient(new URL(queueServiceUri).href, credential, { retryOptions }),
    };
  } catch {
    // Without the cause: messages about a connection string can quote its key.
    throw new ConfigurationError('The storage connection is not valid', {
      operation: 'open the storage account',
      hint: 'Set a complete connection string (AccountName, AccountKey, endpoints), or blobServiceUri and queueServiceUri as https addresses.',
    });
  }
}
