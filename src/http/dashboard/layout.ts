import { createHash } from 'node:crypto';
import type { HttpResponseInit } from '@azure/functions';
import { type Html, html } from '../pages/html.ts';
import { type SignedIn, signOutPath } from '../sign-in.ts';
import { assetName } from './assets.ts';
import { dashboardStyle } from './dashboard-style.ts';
import type { Links, PageName } from './links.ts';

/** Own scripts and requests only, no inline script, one inline style by its hash. */
const policy = [
  "default-src 'none'",
  "connect-src 'self'",
  `style-src 'sha256-${createHash('sha256').update(dashboardStyle.text).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
];

/** @param hasSqlite the page runs SQLite in a thread, which is WebAssembly */
export function pageHeaders(hasSqlite = false): Record<string, string> {
  const own = hasSqlite
    ? ["script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'", 'trusted-types worker']
    : ["script-src 'self'", "trusted-types 'none'"];
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': [...policy, ...own].join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  };
}

const titles: Readonly<Record<PageName, string>> = {
  overview: 'Overview',
  runs: 'Syncs',
  tables: 'Tables',
  schema: 'Schema',
  quality: 'Quality',
  metrics: 'Campaigns',
  data: 'Data',
};

export interface PageContent {
  /** What the page is about, for the title of the window. */
  title: string;
  content: Html;
  /** Something is under way: the page looks for news every two seconds. */
  isLive?: boolean;
  /** How often it looks for news otherwise, in seconds. @default 30 */
  newsSeconds?: number;
  /** The page runs SQLite, whose code is loaded for it alone. */
  hasSqlite?: boolean;
  status?: number;
}

/** Seconds until a page without a script loads again while something is under way. */
const refreshSeconds = 5;

/**
 * A whole page.
 * @param environment the host of the Dataverse environment, which every page names
 * @param environments of the app, by name; undefined is that of the app settings
 * @param user who signed in with Entra ID; undefined where a key opens the pages
 */
export function pageResponse(
  page: PageContent,
  {
    links,
    current,
    environment,
    environments,
    user,
  }: {
    links: Links;
    current: PageName;
    environment: string;
    environments: { current: string | undefined; names: readonly (string | undefined)[] };
    user?: SignedIn | undefined;
  },
): HttpResponseInit {
  const { title, content, isLive = false, newsSeconds = 30, hasSqlite = false, status = 200 } = page;
  const entry = (name: PageName): Html =>
    html`<li><a href="${links.page(name)}"${name === current ? html` aria-current="page"` : undefined}>${titles[name]}</a></li>`;
  const others = environments.names.map(
    (name) =>
      html`<li><a href="${links.environment(name)}"${name === environments.current ? html` aria-current="true"` : undefined}>${name ?? 'default'}</a></li>`,
  );
  const refresh = isLive
    ? html`<noscript><meta http-equiv="refresh" content="${refreshSeconds}"></noscript>\n`
    : undefined;
  const body = html`<a class="skip" href="#content">Skip to the content</a>
<header><p>Dataverse mirror of <strong>${environment}</strong></p>${
    others.length > 1
      ? html`
<nav aria-label="Environments"><ul>${others}</ul></nav>`
      : undefined
  }
<nav aria-label="Pages"><ul>${(Object.keys(titles) as PageName[]).map(entry)}</ul></nav>${
    user &&
    html`
<p class="quiet">Signed in as ${user.name}. <a href="${signOutPath}">Sign out</a></p>`
  }</header>
<p id="notice" role="status"></p>
<main id="content" tabindex="-1" data-news="${isLive ? 2 : newsSeconds}"${isLive ? html` data-live` : undefined}${user?.mayOperate === false ? html` data-read-only` : undefined}>
${content}
</main>
`;
  return {
    status,
    headers: pageHeaders(hasSqlite),
    body: documentOf(`${title} · ${environment}`, body, { links, head: refresh, hasSqlite }),
  };
}

/** A document with the style and the script of the pages. */
export function documentOf(
  title: string,
  body: Html,
  {
    links,
    head,
    attributes,
    hasSqlite = false,
  }: { links: Links; head?: Html | undefined; attributes?: Html; hasSqlite?: boolean },
): string {
  return html`<!doctype html>
<html lang="en"${attributes}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${head}<title>${title}</title>
<style>${dashboardStyle}</style>
<script type="module" src="${links.asset(assetName('dashboard.js'))}"></script>
${hasSqlite ? html`<script type="module" src="${links.asset(assetName('data.js'))}"></script>\n` : undefined}</head>
<body>
${body}</body>
</html>
`.text;
}
