import type { HttpRequest } from '@azure/functions';

/** The collection's path, below the host's route prefix. */
export const collectionPath = 'metrics/campaign';

/**
 * The absolute address of the collection, from the address of any request below it. The query is left out: it
 * may hold the function key.
 */
export function collectionAddress(request: HttpRequest): string {
  const { origin, pathname } = new URL(request.url);
  const at = pathname.toLowerCase().lastIndexOf(`/${collectionPath}`);
  return `${origin}${pathname.slice(0, at)}/${collectionPath}`;
}

export function recordAddress(collection: string, id: string): string {
  return `${collection}/${id}`;
}

export function statusAddress(collection: string, ticket: string): string {
  return `${collection}/status/${ticket}`;
}
