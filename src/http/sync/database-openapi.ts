import { databasePattern } from '../../config/entities.ts';
import { maxResponseBytes } from './get-database.ts';

type Json = Record<string, unknown>;

/** `GET /api/database` in the OpenAPI document. @param problem a response with a problem document */
export function databaseOperation(problem: (description: string) => Json): Json {
  return {
    operationId: 'databaseGet',
    summary: 'A database file, or a range of it',
    description: `One response has at most ${maxResponseBytes} bytes: a longer range is answered with its beginning. HEAD answers with the length of the whole file.`,
    parameters: [
      {
        name: 'name',
        in: 'query',
        required: false,
        description:
          'The database that tables name with `database` in entities.json. By default the one that has all others.',
        schema: { type: 'string', pattern: databasePattern.source },
      },
      requestHeader('Range', 'One range of bytes, such as `bytes=0-65535`.'),
      requestHeader('If-Match', 'The ETag of the state to read; 412 once another one is committed.'),
      requestHeader(
        'If-None-Match',
        'The ETag of the state that the caller has; 304 if it is still the present one.',
      ),
      requestHeader('If-Range', 'The ETag for which the range counts.'),
    ],
    responses: {
      200: file('The whole file.'),
      206: file('The range, or its beginning.', 'Content-Range'),
      304: { description: 'The caller has the present state.' },
      400: problem(
        'The file is too large for one response: request a range. Or no database can have the name.',
      ),
      404: problem('There is no such database yet.'),
      412: problem('The database is not the one that If-Match names. ETag has the present one.'),
      416: problem('The range is outside of the file. Content-Range has its length.'),
      503: problem('Storage is busy, or the file kept changing. Send the request again.'),
    },
  };
}

function requestHeader(name: string, description: string): Json {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}

function file(description: string, ...more: string[]): Json {
  const names = ['ETag', 'Last-Modified', 'Accept-Ranges', ...more];
  return {
    description,
    headers: Object.fromEntries(names.map((name) => [name, { schema: { type: 'string' } }])),
    content: { 'application/vnd.sqlite3': { schema: { type: 'string', format: 'binary' } } },
  };
}
