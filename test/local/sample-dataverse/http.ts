/** The response to a plain request, made without the product's own client. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read any response
  json: any;
}

export async function send(
  url: string,
  init: {
    method?: string;
    prefer?: string;
    headers?: Record<string, string>;
    body?: unknown;
  } = {},
): Promise<Answer> {
  const { method = 'GET', prefer, body } = init;
  const headers = new Headers({ authorization: 'Bearer test', ...init.headers });
  if (prefer !== undefined) headers.set('prefer', prefer);
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json');
  const response = await fetch(url, {
    method,
    headers,
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true && text !== '';
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  };
}

export const api = (origin: string, path: string): string => `${origin}/api/data/v9.2/${path}`;

/** All rows of a set, page by page. */
export async function readAll(
  url: string,
  prefer = 'odata.maxpagesize=5000',
  // biome-ignore lint/suspicious/noExplicitAny: rows of any table
): Promise<{ rows: any[]; pages: any[] }> {
  const rows: unknown[] = [];
  const pages: unknown[] = [];
  let link: string | undefined = url;
  while (link !== undefined) {
    const page: Answer = await send(link, { prefer });
    if (page.status !== 200) throw new Error(`${page.status} ${page.text.slice(0, 300)}`);
    pages.push(page.json);
    rows.push(...page.json.value);
    link = page.json['@odata.nextLink'];
  }
  // biome-ignore lint/suspicious/noExplicitAny: rows of any table
  return { rows: rows as any[], pages: pages as any[] };
}
