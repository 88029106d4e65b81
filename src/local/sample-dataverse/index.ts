/** An HTTP server true to the Dataverse Web API, for development and tests. */

export { tenant as sampleTenant } from './authorize.ts';
export { canMakeCertificate } from './certificate.ts';
export type { SampleDataverseStats } from './dataverse.ts';
export type { ActiveFault, Fault, FaultKind, Faults } from './faults.ts';
export type { TableSpec } from './model-builder.ts';
export type { SampleDataverseOptions } from './options.ts';
export type { SchemaEditor } from './schema-editor.ts';
export { type SampleDataverse, startSampleDataverse } from './server.ts';
export type { RowValues, Store } from './store.ts';
export { sampleClient } from './token-service.ts';
export type { Lookup, Value } from './values.ts';
