import type { HttpResponseInit } from '@azure/functions';
import { html } from './html.ts';
import { pageResponse } from './page.ts';

/** A problem document (RFC 9457) as a page, for a caller that prefers HTML. */
export function problemPage(response: HttpResponseInit): HttpResponseInit {
  const { title, detail, hint } = JSON.parse(String(response.body)) as Record<string, string | undefined>;
  const content = html`<h1 class="bad">${title}</h1>
<p>${detail}</p>${hint === undefined ? undefined : html`<p>What to do: ${hint}</p>`}`;
  return pageResponse(`${title} · Dataverse sync`, content, { status: response.status ?? 500 });
}
