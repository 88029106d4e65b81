/** An HTTP server that behaves as the Dataverse Web API does, for development and tests. */

export type { SampleDataverseStats } from './dataverse.ts';
export type { ActiveFault, Fault, FaultKind, Faults } from './faults/faults.ts';
export { tenant as sampleTenant } from './http/authorize.ts';
export { canMakeCertificate } from './http/certificate.ts';
export { sampleClient } from './http/token-service.ts';
export type { TableSpec } from './metadata/model-builder.ts';
export type { SchemaEditor } from './metadata/schema-editor.ts';
export type { SampleDataverseOptions } from './options.ts';
export type { Backup, RowValues, Store } from './rows/store.ts';
export type { Lookup, Value } from './rows/values.ts';
export { type SampleDataverse, startSampleDataverse } from './server.ts';
