import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  BlobServiceClient,
  generateAccountSASQueryParameters,
  SASProtocol,
  type StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { Azurite } from '../azurite.ts';

export interface VersionedAccount {
  connectionString: string;
  /** The operations that were requested, such as `PUT snapshot`. */
  operations: string[];
  close(): Promise<void>;
}

/**
 * An account with versioning, which Azurite lacks: a proxy that keeps each state that is replaced, and shows it as a version
 * (learn.microsoft.com: Blob versioning; List Blobs; Get Blob, `versionid`). It signs with a shared access signature, which
 * does not cover the address.
 */
export async function startVersionedAccount(azurite: Azurite): Promise<VersionedAccount> {
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString);
  const operations: string[] = [];
  /** Paths of blobs that were deleted. Their versions stay. */
  const deleted = new Set<string>();
  const server = createServer(async (incoming, outgoing) => {
    const url = new URL(incoming.url!, 'http://127.0.0.1');
    const comp = url.searchParams.get('comp');
    operations.push(`${incoming.method} ${comp}`);
    const commits = incoming.method === 'PUT' && comp === 'blocklist';
    const [, , container = '', ...path] = url.pathname.split('/');
    if (commits) {
      const blob = service.getContainerClient(container).getBlobClient(path.join('/'));
      await blob.createSnapshot().catch(() => undefined);
    }
    const version = url.searchParams.get('versionid');
    if (incoming.method === 'DELETE' && version === null) {
      const blob = service.getContainerClient(container).getBlobClient(path.join('/'));
      await blob.createSnapshot();
      deleted.add(url.pathname);
      outgoing.writeHead(202).end();
      return;
    }
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD';
    if (isRead && version === null && deleted.has(url.pathname)) {
      outgoing.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
      return;
    }
    if (commits && deleted.delete(url.pathname)) delete incoming.headers['if-none-match'];
    if (version !== null) {
      url.searchParams.delete('versionid');
      url.searchParams.set('snapshot', version);
    }
    const showsVersions = url.searchParams.get('include')?.includes('versions') === true;
    const options = { port: azurite.blobPort, host: '127.0.0.1', method: incoming.method };
    const headers = { ...incoming.headers, host: `127.0.0.1:${azurite.blobPort}` };
    const onward = request({ ...options, path: `${url.pathname}${url.search}`, headers }, async (answer) => {
      const isBlob = path.length > 0 && comp === null && answer.statusCode! < 300;
      const more = isBlob ? { 'x-ms-version-id': version ?? currentId } : {};
      const body = await buffer(answer);
      const sent =
        comp === 'list' ? Buffer.from(listed(body.toString(), showsVersions, deleted.size > 0)) : body;
      const { 'content-length': length, 'transfer-encoding': _, ...rest } = answer.headers;
      const size = incoming.method === 'HEAD' ? (length ?? '0') : String(sent.length);
      outgoing.writeHead(answer.statusCode!, { ...rest, ...more, 'content-length': size }).end(sent);
    });
    onward.on('error', () => incoming.socket.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sas = generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 3_600_000),
      permissions: AccountSASPermissions.parse('rwdlacup'),
      resourceTypes: AccountSASResourceTypes.parse('sco').toString(),
      services: 'b',
      protocol: SASProtocol.HttpsAndHttp,
    },
    service.credential as StorageSharedKeyCredential,
  );
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${service.accountName}`;
  return {
    connectionString: `BlobEndpoint=${endpoint};QueueEndpoint=${endpoint};SharedAccessSignature=${sas}`,
    operations,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const currentId = '2999-01-01T00:00:00.0000000Z';

/** Snapshots become versions where they are asked for; elsewhere they are not listed. */
function listed(xml: string, showsVersions: boolean, isDeleted: boolean): string {
  return xml.replace(/<Blob>.*?<\/Blob>/gs, (blob) => {
    if (!showsVersions) return blob.includes('<Snapshot>') ? '' : blob;
    const current = `<VersionId>${currentId}</VersionId><IsCurrentVersion>true</IsCurrentVersion>`;
    if (isDeleted && !blob.includes('<Snapshot>')) return '';
    return blob.includes('<Snapshot>')
      ? blob.replace(/<Snapshot>(.*?)<\/Snapshot>/, '<VersionId>$1</VersionId>')
      : blob.replace('</Name>', `</Name>${current}`);
  });
}
