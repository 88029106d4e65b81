import type { HttpRequest } from '@azure/functions';
import * as z from 'zod';
import { StatementError } from '../../target/postgres/connection/postgres-errors.ts';
import type { MirrorQueries, QueryResult } from '../../target/postgres/query/mirror-query.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';
import { readRequestBody } from '../read-request-body.ts';

/** What answers queries; or why none does: the mirror is a file, or the settings name no user for them. */
export type QueryServices = MirrorQueries | 'a file' | 'no reader';

const maxBodyBytes = 256 * 1024;

const body = z.strictObject({
  sql: z.string().min(1).max(100_000),
  parameters: z
    .array(z.union([z.string(), z.number(), z.null()]))
    .max(1000)
    .default([]),
  maxRows: z.int().min(1).max(100_000).default(1000),
  maxText: z.int().min(1).max(100_000).default(2000),
  whole: z.array(z.string()).max(2000).default([]),
});

/** `GET /api/query`: which state of the mirror queries see. HEAD tells a page whether a sync has committed. */
export const getQuery: Handler<QueryServices> = async (services) => {
  const etag = await queriesOf(services).etag();
  if (etag === undefined) throw noMirror();
  return { headers: { etag: `"${etag}"` }, jsonBody: { etag } };
};

/**
 * `POST /api/query`: the rows of one statement that reads a mirror in PostgreSQL. With `If-Match`, of that state or none: so what
 * a page shows is of one state.
 */
export const postQuery: Handler<QueryServices> = async (services, request) => {
  const queries = queriesOf(services);
  const query = await readQuery(request);
  const etag = /^(?:W\/)?"([^"]+)"$/.exec(request.headers.get('if-match')?.trim() ?? '')?.[1];
  let result: QueryResult | undefined;
  try {
    result = await queries.run({ ...query, etag });
  } catch (error) {
    if (!(error instanceof StatementError)) throw error;
    throw new Problem(400, error.message, {
      hint: 'Correct the statement. It is one that reads, in the words of PostgreSQL.',
    });
  }
  if (result === undefined) {
    if (etag === undefined) throw noMirror();
    throw new Problem(
      412,
      'The state of the mirror is not the one that the request names: a newer one was committed.',
      {
        hint: 'Forget what was read of the older state, and read the new one.',
      },
    );
  }
  const { etag: read, ...rows } = result;
  return { headers: { etag: `"${read}"` }, jsonBody: rows };
};

function queriesOf(services: QueryServices): MirrorQueries {
  if (services === 'a file') {
    throw new Problem(404, 'The mirror is a SQLite file.', { hint: 'Read it with GET /api/database.' });
  }
  if (services === 'no reader') {
    throw new Problem(404, 'No user of PostgreSQL is named for queries.', {
      hint: 'Create one that may only read, and set POSTGRES_READER_URL: see docs/postgres.md, "Readers".',
    });
  }
  return services;
}

function noMirror(): Problem {
  return new Problem(404, 'There is no mirror before the first sync.', {
    hint: 'Start a sync with POST /api/sync.',
  });
}

async function readQuery(request: HttpRequest): Promise<z.infer<typeof body>> {
  const bytes = await readRequestBody(request, maxBodyBytes, 'Write a shorter statement.');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new Problem(400, 'The body is not JSON.', { hint: 'Send { "sql": "select …" }.' });
  }
  const { data, error } = body.safeParse(value);
  if (data !== undefined) return data;
  const fault = error.issues[0]!;
  throw new Problem(400, `The body is not a query: ${fault.path.join('.') || 'it'}: ${fault.message}.`, {
    hint: 'Send { "sql": "select …" }, and perhaps "parameters", "maxRows" and "maxText".',
  });
}
