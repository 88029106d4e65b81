import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { Environment } from '../../config/environments/environment.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import type { Handler } from '../handler.ts';
import { html } from '../pages/html.ts';
import { Problem } from '../problem.ts';
import { readDashboardAuth, signedIn } from '../sign-in.ts';
import { type PageContent, pageResponse } from './layout.ts';
import { linksOf, type PageName, pageNames } from './links.ts';
import { dataPage } from './pages/data-page.ts';
import { metricsPage } from './pages/metrics-page.ts';
import { overviewPage } from './pages/overview-page.ts';
import type { PageContext, PageEnvironment } from './pages/page-context.ts';
import { qualityPage } from './pages/quality-page.ts';
import { runPage, runsPage } from './pages/run-pages.ts';
import { schemaPage } from './pages/schema-page.ts';
import { tablePage, tablesPage } from './pages/table-pages.ts';

type Page = (context: PageContext) => Promise<PageContent>;

/** Each page, and the page of one item of it. */
const pages: Readonly<Record<PageName, { all: Page; one?: Page }>> = {
  overview: { all: overviewPage },
  runs: { all: runsPage, one: runPage },
  tables: { all: tablesPage, one: tablePage },
  schema: { all: schemaPage },
  quality: { all: qualityPage },
  metrics: { all: metricsPage },
  data: { all: dataPage },
};

/**
 * `GET /api/pages/{page?}/{item?}`: a whole page of the dashboard. Its problems are pages, too.
 * @param own the environment that the pages are of
 * @param reads what pages read beside the documents of runs
 * @param all environments of the app
 */
export function getPage(
  own: Pick<Environment, 'name' | 'settings'>,
  reads: PageContext['reads'],
  all: readonly PageEnvironment[],
): Handler<SyncServices> {
  const names = all.map(({ name }) => name);
  const others = all.filter(({ name }) => name !== own.name);
  return async (services, request) => {
    const { page = 'overview', item } = request.params;
    const current = pageNames.find((name) => name === page);
    const links = linksOf(request);
    const environment = new URL(services.settings.dataverse.url).host;
    const user = readDashboardAuth() === 'entra' ? signedIn(request) : undefined;
    const environments = { current: own.name, names };
    const answer = (content: PageContent): HttpResponseInit =>
      pageResponse(content, { links, current: current ?? 'overview', environment, environments, user });
    try {
      const make = current && pages[current][item === undefined ? 'all' : 'one'];
      if (make === undefined) throw noPage(request);
      const context = {
        services,
        links,
        item,
        query: request.query,
        now: services.now(),
        schedule: own.settings['SYNC_SCHEDULE'],
        others,
        reads,
      };
      return answer(await make(context as PageContext));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const { title, status, detail, hint } = error.document;
      return answer({
        title,
        status,
        content: html`<h1>${title}</h1><p>${detail}</p>${hint && html`<p>What to do: ${hint}</p>`}`,
      });
    }
  };
}

function noPage({ url }: HttpRequest): Problem {
  return new Problem(404, `There is no page ${new URL(url).pathname}.`, {
    hint: `The pages are ${pageNames.join(', ')}.`,
  });
}
