/** Plain requests to a sample Dataverse, without any of the product's own client. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  json: any;
}

export async function send(
  url: string,
  init: { method?: string; prefer?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: init.method ?? 'GET',
    headers: {
      authorization: 'Bearer test',
      ...(init.prefer === undefined ? {} : { prefer: init.prefer }),
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...init.headers,
    },
    ...(init.body === undefined
      ? {}
      : { body: typeof init.body === 'string' ? init.body : JSON.stringify(init.body) }),
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
