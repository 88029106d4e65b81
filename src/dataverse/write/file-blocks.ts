import { randomUUID } from 'node:crypto';
import { ConfigurationError } from '../../errors.ts';
import { DataverseRetriableError, dataverseFault } from '../errors/errors.ts';
import { checkName } from '../read/query.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { readObject, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { toJson } from './exact-number.ts';
import type { FileOptions, FileReference } from './files.ts';
import type { UploadState } from './upload-state.ts';

/** The file column of a row, with the names that Dataverse's messages need. */
export interface BlockTarget extends FileReference {
  logicalName: string;
  primaryId: string;
}

export interface BlockOptions extends FileOptions {
  mimeType?: string | undefined;
  /** Called at the start and after each block. */
  onState?: ((state: UploadState) => void) | undefined;
  /** Goes on with an upload of the same bytes. */
  resume?: UploadState | undefined;
}

/** The largest block that Dataverse accepts (learn.microsoft.com: "Use file column data"). */
const largestBlock = 4 * 1024 * 1024;

/**
 * Uploads a file in blocks and commits them, so that it has a MIME type and the upload can go on after a failure. A block
 * without a response is sent again: its id is the same.
 * @throws ConfigurationError if the upload to go on with was one of other bytes
 */
export async function uploadFileBlocks(
  transport: Transport,
  target: BlockTarget,
  fileName: string,
  data: Uint8Array,
  options: BlockOptions = {},
): Promise<void> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const { mimeType = '', onState, onProgress, resume, chunkBytes, ...call } = options;
  if (resume !== undefined && (resume.totalBytes !== bytes.length || resume.fileName !== fileName)) {
    throw new ConfigurationError('The upload to go on with is one of another file', {
      operation: 'upload a file',
      hint: 'Start the upload again, without its old state.',
    });
  }
  let state = resume ?? {
    token: await start(transport, target, fileName, call),
    fileName,
    totalBytes: bytes.length,
    blockBytes: Math.min(largestBlock, chunkBytes ?? largestBlock),
    blocks: [],
  };
  onState?.(state);
  for (let at = state.blocks.length * state.blockBytes; at < bytes.length; at += state.blockBytes) {
    const block = bytes.subarray(at, at + state.blockBytes);
    const BlockId = Buffer.from(randomUUID()).toString('base64');
    const body = { BlockId, BlockData: block.toString('base64'), FileContinuationToken: state.token };
    await transport.send(blockCall(target, 'upload', 'UploadBlock', body, call), () => undefined);
    state = { ...state, blocks: [...state.blocks, BlockId] };
    onState?.(state);
    onProgress?.(Math.min(at + state.blockBytes, bytes.length), bytes.length);
  }
  const commit = { FileName: fileName, MimeType: mimeType, BlockList: state.blocks };
  const body = { ...commit, FileContinuationToken: state.token };
  await transport
    .send(blockCall(target, 'commit', 'CommitFileBlocksUpload', body, call), () => undefined)
    .catch((error) => {
      throw ifCommitted(error);
    });
}

/** An attempt without a response may have completed the upload and used up its token, so that the next one is rejected. */
function ifCommitted(error: unknown): unknown {
  const fault = dataverseFault(error);
  if (!fault?.maybeDoneBefore || fault.transient) return error;
  const hint = 'The upload may be complete: compare the file before you upload it again.';
  return new DataverseRetriableError((error as Error).message, { fault, hint });
}

function start(
  transport: Transport,
  target: BlockTarget,
  fileName: string,
  options: CallOptions,
): Promise<string> {
  const type = `Microsoft.Dynamics.CRM.${checkName(target.logicalName, 'logical name')}`;
  const body = {
    Target: { '@odata.type': type, [target.primaryId]: target.id },
    FileName: fileName,
    FileAttributeName: target.column,
  };
  return transport.send(
    blockCall(target, 'start the upload of', 'InitializeFileBlocksUpload', body, options),
    (reply) => {
      const { FileContinuationToken: token } = readObject(reply);
      if (typeof token !== 'string') throw unreadable(reply, 'it has no token');
      return token;
    },
  );
}

function blockCall(
  { column, entitySet }: BlockTarget,
  what: string,
  message: string,
  body: object,
  options: CallOptions,
): Call {
  return {
    ...options,
    operation: `${what} ${column} of a row of ${entitySet}`,
    entitySet,
    method: 'POST',
    url: message,
    body: toJson(body),
    // A block has its id, an upload that is started twice leaves nothing, and a second commit at most fails.
    idempotent: true,
  };
}
