/**
 * Reads a mirror, wherever its file is: `dataverse-sqlite-sync/mirror`.
 * @module
 */

export { ConfigurationError, ConflictError, RetriableError, SyncError } from '../errors.ts';
export {
  describeColumns,
  describeTables,
  type MirrorColumn,
  type MirrorTable,
} from '../mirror/describe-mirror.ts';
export type { Mirror, MirrorOptions, QueryOptions } from '../mirror/mirror.ts';
export { type OpenMirrorOptions, openMirror, type StorageCredential } from '../mirror/open-mirror.ts';
export type { QueryParameter, QueryResult, Value } from '../mirror/query-result.ts';
