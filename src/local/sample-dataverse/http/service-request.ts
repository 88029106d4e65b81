import type { Fragment } from './fragment.ts';

/** One request, on its own or from a batch. */
export interface ServiceRequest {
  method: string;
  /** `http://127.0.0.1:1234`: links in the response start with it. */
  origin: string;
  /** The decoded path. */
  path: string;
  /** The query as it was sent, without the question mark. */
  query: string;
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
  /** Set for a request from a batch: its URL may be longer. */
  inBatch?: boolean;
}

export interface ServiceResponse {
  status: number;
  headers: Record<string, string>;
  body: readonly Fragment[];
}

export const apiRoot = '/api/data/v9.2';
