import type { ProtectionLimits } from './faults/service-protection.ts';

export interface SampleDataverseOptions {
  /** 0, the default, takes a free port. */
  port?: number;
  /** Rows in all, spread over the tables. Default 20,000. */
  rows?: number;
  /** The path of a real `$metadata` document: it is served as it is, and rows are made for its tables. */
  metadata?: string;
  /** Logical names of the tables that have rows; with `metadata`, `rows` is spread over these evenly. */
  tables?: string[];
  /** With `metadata`: logical names of the tables with change tracking, or all of them. Default none. */
  tracked?: string[] | 'all';
  /** The same seed gives the same rows. Default 1. */
  seed?: number;
  /**
   * Mixes values into the rows that break careless readers: escapes, control characters, extreme numbers and
   * dates, empty columns, lookups in circles. Default true, for tests; `npm start` wants rows to look at.
   */
  hostileValues?: boolean;
  /** The bearer token that is asked for; by default any. */
  token?: string;
  /** Accept only tokens that the sample's own token service gave out and that have not expired. */
  issuedTokensOnly?: boolean;
  /** The client that the token service knows. Default: see `sampleClient`. */
  client?: { id?: string; secret?: string };
  /** Default 3,600. */
  tokenLifetimeSeconds?: number;
  /** HTTPS with a certificate made at the start, by the `openssl` command. */
  tls?: boolean;
  /** Tighter service protection than the real service's. */
  protection?: ProtectionLimits;
  /** `x-ms-dop-hint`. Default 16. */
  dopHint?: number;
  /** Milliseconds before every answer, as over a long way. Default 0. */
  latencyMs?: number;
  clock?: () => Date;
  /** How wide a row's JSON should be at least, in bytes, reached by longer texts. */
  rowBytes?: number;
  /** Whether `apex_campaignmetrics` exists from the start. Default true. */
  campaignMetrics?: boolean;
  /** The first row version. Default 72,201,545; beyond 2^53 to find readers that go through doubles. */
  firstVersion?: bigint;
  /** Read every table to its end before the start is reported, with this `Prefer` header beside the page size. */
  prewarm?: boolean | string;
}
