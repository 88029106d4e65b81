import type { HttpRequest } from '@azure/functions';
import type { Handler } from '../handler.ts';
import { html } from '../pages/html.ts';
import { pathWithoutKey, readDashboardAuth } from '../sign-in.ts';
import { documentOf, pageHeaders } from './layout.ts';
import { linksOf } from './links.ts';

/**
 * `GET /api/dashboard/{page?}/{item?}`, without a key: a document without data. Its script takes the function key from the
 * fragment of the address, which browsers send nowhere, keeps it for this tab, and loads the pages with it.
 * Where people sign in with Entra ID, it leads to the pages, which need no key.
 */
export const getShell: Handler<undefined> = (_, request) => {
  const links = linksOf(request);
  if (readDashboardAuth() === 'entra') return { status: 302, headers: { location: pageOf(request) } };
  // A document has one policy. So the script loads this page anew, instead of showing it in the one that is there.
  const hasSqlite = request.params['page'] === 'data';
  const body = html`<main id="content" tabindex="-1">
<h1>Dataverse mirror</h1>
<form id="sign-in" hidden>
<p><label for="key">Function key of the app</label></p>
<p><input id="key" type="password" autocomplete="off" required> <button>Show</button></p>
<p class="quiet">It stays in this tab. <code>az functionapp keys list</code> shows it.</p>
</form>
<p id="notice" role="status"></p>
<noscript><p>This address needs a script. Without one, open <code>${links.page('overview')}?code=</code> with the function key behind it.</p></noscript>
</main>
`;
  const page = documentOf('Dataverse mirror', body, { links, attributes: html` data-shell`, hasSqlite });
  return { headers: pageHeaders(hasSqlite), body: page };
};

/** The address of the page that `/api/dashboard/…` shows. */
function pageOf({ url }: Pick<HttpRequest, 'url'>): string {
  return pathWithoutKey(url).replace(/^(.*?)\/dashboard(?=[/?]|$)/i, '$1/pages');
}
