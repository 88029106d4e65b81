import type { IncomingMessage } from 'node:http';
import type { ProtectionLimits } from './faults/service-protection.ts';

export interface SampleDataverseOptions {
  /** 0, the default, takes a free port. */
  port?: number;
  /** Which requests get status 403 before anything else. Default none. */
  rejects?: (request: IncomingMessage) => boolean;
  /** Rows in total, over all tables. Default 20,000. */
  rows?: number;
  /** The path of a real `$metadata` document. It is served as it is, with rows for its tables. */
  metadata?: string;
  /** Logical names of the tables that have rows. With `metadata`, each has the same number. */
  tables?: string[];
  /** With `metadata`: logical names of the tables with change tracking, or all of them. Default none. */
  tracked?: string[] | 'all';
  /** The same seed gives the same rows. Default 1. */
  seed?: number;
  /**
   * Mixes values into the rows that break careless readers: escapes, control characters, extreme numbers and
   * dates, empty columns, circular lookups. Default true, for tests; `npm start` turns it off.
   */
  hostileValues?: boolean;
  /** The only bearer token that is accepted. Default any. */
  token?: string;
  /** Accept only tokens that the sample's own token service issued and that have not expired. */
  issuedTokensOnly?: boolean;
  /** The client that the token service accepts. Default `sampleClient`. */
  client?: { id?: string; secret?: string };
  /** Default 3,600. */
  tokenLifetimeSeconds?: number;
  /** HTTPS, with a certificate that the `openssl` command makes at the start. */
  tls?: boolean;
  /** Service protection limits, if they differ from those of the real service. */
  protection?: ProtectionLimits;
  /** `x-ms-dop-hint`. Default 16. */
  dopHint?: number;
  /** Milliseconds of delay before each response. Default 0. */
  latencyMs?: number;
  clock?: () => Date;
  /** The least size of a row's JSON in bytes. Texts are lengthened to reach it. */
  rowBytes?: number;
  /** Whether `apex_campaignmetrics` exists at the start. Default true. */
  campaignMetrics?: boolean;
  /** The row version of the first row. Beyond 2^53 it reveals readers that use doubles. Default 75,000,000. */
  firstVersion?: bigint;
  /**
   * Read each table to its end before the start is reported, so that all pages are made. A text is sent as the
   * `Prefer` header, beside the page size.
   */
  prewarm?: boolean | string;
}
