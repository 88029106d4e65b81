import type { HttpRequest } from '@azure/functions';

/**
 * The absolute address of a resource, found in the address of a request to it or below it. It has no query,
 * which may hold the function key.
 * @example address(request, 'metrics/campaign') // https://app.example/api/metrics/campaign
 */
export function address({ url }: Pick<HttpRequest, 'url'>, resource: string): string {
  const { origin, pathname } = new URL(url);
  const at = `${pathname.toLowerCase()}/`.lastIndexOf(`/${resource}/`);
  return `${origin}${pathname.slice(0, at)}/${resource}`;
}
