import { SavedFile } from './saved-file.ts';
import type { Answerer } from './sqlite-thread.ts';
import type { Answer, Asked, Cell, Results } from './worker-messages.ts';

/** A saved value has no more characters. */
const savedText = 100_000;

interface Found {
  columns: string[];
  rows: (string | number | null)[][];
  isCut: boolean;
}

/** Queries that the app sends to PostgreSQL. @param address of the route that takes them */
export function serverQueries(address: string, key: string | null): Answerer {
  const ended = new AbortController();
  let etag = '';
  let requests = 0;
  let fetchedBytes = 0;

  async function send(init: RequestInit): Promise<Response> {
    const headers: Record<string, string> = { 'x-requested-with': 'dashboard', ...(init.headers as object) };
    if (key !== null) headers['x-functions-key'] = key;
    requests += 1;
    const response = await fetch(address, { ...init, headers, signal: ended.signal });
    if (response.ok) return response;
    const { detail, hint } = await response.json().catch(() => ({}));
    const message = [detail ?? `The app answered with status ${response.status}.`, hint]
      .filter(Boolean)
      .join(' ');
    throw Object.assign(new Error(message), { isChanged: response.status === 412 });
  }

  async function read(query: object): Promise<Found> {
    const headers = { 'content-type': 'application/json', 'if-match': etag };
    const response = await send({ method: 'POST', headers, body: JSON.stringify(query) });
    const text = await response.text();
    fetchedBytes += text.length;
    return JSON.parse(text) as Found;
  }

  async function answer(asked: Asked): Promise<Results[Asked['kind']]> {
    if (asked.kind === 'open') {
      etag = (await send({ method: 'GET' })).headers.get('etag') ?? '';
      return { etag };
    }
    const { sql, maxRows } = asked;
    const query = { sql, parameters: asked.parameters.map(plain), maxRows };
    if (asked.kind === 'query') return read({ ...query, maxText: asked.maxText, whole: asked.whole });
    const { columns, rows, isCut } = await read({ ...query, maxText: savedText });
    const file = new SavedFile(asked.format, columns, asked.maxBytes);
    for (const row of rows) file.add(row);
    return { file: file.end(), rows: file.rows, isCut };
  }

  return {
    async ask(asked): Promise<Answer> {
      try {
        return { result: await answer(asked), requests, fetchedBytes };
      } catch (error) {
        const { message, isChanged = false } = error as Error & { isChanged?: boolean };
        return { error: message, isChanged };
      }
    },
    end: () => ended.abort(),
  };
}

const plain = (value: Cell): string | number | null => (typeof value === 'bigint' ? String(value) : value);
