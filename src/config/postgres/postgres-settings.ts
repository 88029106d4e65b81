import { isIPv6 } from 'node:net';
import * as z from 'zod';
import { ConfigurationError } from '../../errors.ts';
import { type PostgresAddress, postgresAddress } from './postgres-address.ts';

/** The mirror in PostgreSQL. */
export interface PostgresSettings {
  address: PostgresAddress;
  /** The schema of the mirror. It has no other tables. */
  schema: string;
  /** Of a user-assigned identity, whose access token is the password where there is none. */
  clientId?: string | undefined;
  /** On a cluster, tables with as many rows are distributed, and smaller ones are on every node. Undefined: none are. */
  distributeRows?: number | undefined;
  /** How queries of people are sent: a user that can only read, perhaps of a replica. Undefined: none are. */
  reader?: PostgresAddress | undefined;
}

const text = z.string().trim().min(1).optional();
/** No part of an address: somebody may have put a whole one, with its password, into the wrong setting. */
const part = z
  .string()
  .trim()
  .min(1)
  .refine(
    (value) => !value.includes('://'),
    'must be one part of an address: a whole one is for POSTGRES_URL',
  )
  .optional();
/** A name, a number in the notation of IPv4 or IPv6, or the folder of a socket. */
const host = part.refine(
  (value) =>
    value === undefined || /^(?:[\w.-]+|\/.*)$/.test(value) || isIPv6(value.replace(/^\[(.*)\]$/, '$1')),
  'must be the name of a server alone, without a port, a user or a password',
);

/** The longest name of PostgreSQL, in bytes (postgresql.org: Identifiers and Key Words). */
const maxNameBytes = 63;

/** The app settings of PostgreSQL. */
export const postgresAppSettings = {
  SYNC_TARGET: z.enum(['sqlite', 'postgres']).default('sqlite'),
  POSTGRES_URL: text,
  POSTGRES_HOST: host,
  POSTGRES_DATABASE: part,
  POSTGRES_USER: part,
  POSTGRES_CLIENT_ID: part,
  POSTGRES_READER_URL: text,
  POSTGRES_DISTRIBUTE: z
    .string()
    .trim()
    .toLowerCase()
    .regex(/^(?:off|false|on|true|[1-9]\d{0,11})$/, 'must be off, on, or a number of rows')
    .default('off'),
  POSTGRES_SCHEMA: z
    .string()
    .trim()
    .refine(
      (name) =>
        Buffer.byteLength(name) <= maxNameBytes &&
        !/^pg_|^information_schema$|\0|:\/\//i.test(name) &&
        name !== '',
      `must be the name of a schema: at most ${maxNameBytes} bytes, not one of PostgreSQL's own`,
    )
    .default('dataverse'),
};

type Given = Readonly<Record<string, string | undefined>>;
type PostgresAppSettings = {
  readonly [Name in keyof typeof postgresAppSettings | 'AzureWebJobsStorage__clientId']?: string | undefined;
};

/**
 * The settings of a mirror in PostgreSQL, which `postgresFaults` found to be valid.
 * @returns undefined if the mirror is a SQLite file
 */
export function postgresSettings(given: PostgresAppSettings): PostgresSettings | undefined {
  if (given.SYNC_TARGET !== 'postgres') return undefined;
  return {
    address: addressOf(given),
    schema: given.POSTGRES_SCHEMA!,
    // An app has one identity as a rule.
    clientId: given.POSTGRES_CLIENT_ID ?? given.AzureWebJobsStorage__clientId,
    distributeRows: distributedRows(given.POSTGRES_DISTRIBUTE),
    reader:
      given.POSTGRES_READER_URL === undefined
        ? undefined
        : postgresAddress(given.POSTGRES_READER_URL, 'POSTGRES_READER_URL'),
  };
}

/** A smaller table is read faster on one node. */
const defaultDistributedRows = 100_000;

function distributedRows(given = 'off'): number | undefined {
  if (given === 'off' || given === 'false') return undefined;
  return given === 'on' || given === 'true' ? defaultDistributedRows : Number(given);
}

/** @throws ConfigurationError */
function addressOf(given: PostgresAppSettings): PostgresAddress {
  if (given.POSTGRES_URL !== undefined) return postgresAddress(given.POSTGRES_URL);
  const { POSTGRES_HOST: host, POSTGRES_DATABASE: database, POSTGRES_USER: user } = given;
  return { host: host!.replace(/^\[(.*)\]$/, '$1'), port: 5432, database: database!, user: user! };
}

/** What is wrong with the settings together. The messages quote no part of a connection string. */
export function postgresFaults(given: Given): string[] {
  const target = given['SYNC_TARGET']?.trim() ?? 'sqlite';
  if (target !== 'postgres') {
    const useless = ['POSTGRES_URL', 'POSTGRES_HOST'].find((name) => given[name] !== undefined);
    return useless === undefined || target !== 'sqlite'
      ? []
      : [`${useless} is set, but SYNC_TARGET is not postgres: set SYNC_TARGET, or remove ${useless}`];
  }
  const faults: string[] = [];
  const parts = ['POSTGRES_HOST', 'POSTGRES_DATABASE', 'POSTGRES_USER'] as const;
  const missing = parts.filter((name) => given[name] === undefined);
  if (given['POSTGRES_URL'] === undefined && missing.length > 0) {
    faults.push(
      missing.length === parts.length
        ? 'SYNC_TARGET is postgres: set POSTGRES_URL, or POSTGRES_HOST, POSTGRES_DATABASE and POSTGRES_USER to sign in with the identity of the app'
        : `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`,
    );
  }
  if (given['POSTGRES_URL'] !== undefined && missing.length < parts.length) {
    faults.push(
      'POSTGRES_URL and POSTGRES_HOST, POSTGRES_DATABASE or POSTGRES_USER exclude each other: set one form',
    );
  }
  for (const setting of ['POSTGRES_URL', 'POSTGRES_READER_URL']) {
    const url = given[setting]?.trim();
    try {
      if (url !== undefined) postgresAddress(url, setting);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      faults.push(error.message.replace(/\.$/, ''));
    }
  }
  return faults;
}
