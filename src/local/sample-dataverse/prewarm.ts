import type { Dataverse } from './dataverse.ts';
import { gzipped } from './http/fragment.ts';
import { route } from './http/router.ts';
import { apiRoot } from './http/service-request.ts';

/** Reads each table to its end, so that all pages are made and compressed before the first request. */
export async function prewarm(dataverse: Dataverse, origin: string, prefer?: string): Promise<void> {
  const headers = { prefer: ['odata.maxpagesize=5000', prefer].filter(Boolean).join(',') };
  const request = { method: 'GET', origin, headers, body: Buffer.alloc(0) };
  for (const table of dataverse.store.model.tables.values()) {
    if (table.entitySetName === undefined || dataverse.store.count(table.logicalName) === 0) continue;
    const path = `${apiRoot}/${table.entitySetName}`;
    let query: string | undefined = '';
    while (query !== undefined) {
      const page = route(dataverse, { ...request, path, query });
      await gzipped(page.body);
      const tail = page.body.at(-1)!.bytes.toString();
      const link = /"@odata\.nextLink":("(?:[^"\\]|\\.)*")/.exec(tail)?.[1];
      query = link === undefined ? undefined : (JSON.parse(link) as string).split('?')[1];
    }
  }
  Object.assign(dataverse.stats, { requests: 0, bytes: 0, rows: 0 });
}
