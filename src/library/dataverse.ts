/**
 * A client for Microsoft Dataverse's Web API: `dataverse-sqlite-sync/dataverse`.
 * @module
 */

export { type ExactNumber, exactNumber } from '../dataverse/write/exact-number.ts';
export { ChangeSet, changeSet, Operation } from './batch/operation.ts';
export type { BatchOptions, BatchOutcome, OutcomeOf } from './batch/send-batch.ts';
export type { FunctionParameter } from './client/call-function.ts';
export {
  type AccessToken,
  type CredentialOptions,
  createCredential,
  type TokenCredential,
} from './client/credentials.ts';
export {
  createDataverse,
  type Dataverse,
  type DataverseOptions,
  type RawRequest,
  type RequestCounts,
} from './client/dataverse.ts';
export * from './client/errors.ts';
export type { RequestOptions, RetryOptions } from './client/options.ts';
export type { PreparedOperations } from './client/prepared-operations.ts';
export type { Table } from './client/table.ts';
export {
  type AnyTableDefinition,
  type ColumnOf,
  defineTable,
  type Row,
  type Selected,
  type TableDefinition,
  type WritableRow,
} from './client/table-definition.ts';
export type {
  DownloadOptions,
  FileColumn,
  TransferOptions,
  UploadOptions,
  UploadState,
} from './files/file-column.ts';
export type { ChoiceOption, ColumnDefinition, LabelText, NewTable } from './metadata/definitions.ts';
export type { ChoiceName, Metadata, ReadDefinitionOptions } from './metadata/metadata.ts';
export type { NewLookup, NewManyToMany } from './metadata/relationships.ts';
export type { Aggregated, AggregateMethod, Aggregation } from './query/aggregate.ts';
export { etagOf, formattedValue, lookupTable } from './query/annotations.ts';
export type { Change, Changes, ChangesOptions } from './query/changes.ts';
export type { FetchXmlOptions, FetchXmlQuery } from './query/fetch-query.ts';
export { escapeXml } from './query/fetch-xml.ts';
export { Filter, type FilterBuilder, type FilterColumn, type FilterInput, filters } from './query/filter.ts';
export { column, dateOnly, type FilterValue, guid, Literal, literalText, raw } from './query/literal.ts';
export type { Query, RelatedQuery, RowPage } from './query/query.ts';
export type { BulkOptions, CreateManyOptions } from './rows/bulk-options.ts';
export { BulkResult } from './rows/bulk-result.ts';
export type { UpsertResult } from './rows/operations.ts';
export { noReference, Reference, type RowKey, reference } from './rows/reference.ts';
export type {
  CreateOptions,
  DeleteOptions,
  RetrieveOptions,
  UpdateOptions,
  UpsertOptions,
} from './rows/row-options.ts';
