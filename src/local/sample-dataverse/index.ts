/** An HTTP server true to the Dataverse Web API, for development and tests. */
export type { SampleDataverseStats } from './dataverse.ts';
export type { SampleDataverseOptions } from './options.ts';
export { type SampleDataverse, startSampleDataverse } from './server.ts';
export type { RowValues, Store } from './store.ts';
export type { Lookup, Value } from './values.ts';
