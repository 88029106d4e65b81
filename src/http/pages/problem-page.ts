import type { HttpResponseInit } from '@azure/functions';
import type { Problem } from '../problem.ts';
import { html } from './html.ts';
import { pageResponse } from './page.ts';

/** A problem as a page, for callers that prefer HTML. */
export function problemPage({ document, headers }: Problem): HttpResponseInit {
  const { title, status, detail, hint } = document;
  const content = html`<h1 class="bad">${title}</h1>
<p>${detail}</p>${hint && html`<p>What to do: ${hint}</p>`}`;
  const page = pageResponse(`${title} · Dataverse sync`, content, { status });
  return { ...page, headers: { ...headers, ...page.headers } };
}
