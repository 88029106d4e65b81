import type { Fragment } from './fragment.ts';

/** One request, alone or out of a batch. */
export interface ServiceRequest {
  method: string;
  /** `http://127.0.0.1:1234`: what links in the answer begin with. */
  origin: string;
  /** The path with its percent signs resolved. */
  path: string;
  /** The query as it was sent, without the question mark. */
  query: string;
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
  /** Out of a batch: its address may be longer. */
  inBatch?: boolean;
}

export interface ServiceResponse {
  status: number;
  headers: Record<string, string>;
  body: readonly Fragment[];
}

export const apiRoot = '/api/data/v9.2';
