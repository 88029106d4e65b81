import type { HttpRequest } from '@azure/functions';
import { readDashboardAuth } from '../sign-in.ts';

/** Where a page is read: in the dashboard, which holds the key, or alone, with the key in its own address. */
export interface Links {
  page(name: PageName, item?: string, query?: Record<string, string>): string;
  /** The address of a route of the app that is no page. */
  route(path: string, query?: Record<string, string>): string;
  asset(name: string): string;
  /** The first page of an environment of the app. @param name undefined for that of the app settings */
  environment(name: string | undefined): string;
}

export const pageNames = ['overview', 'runs', 'tables', 'schema', 'quality', 'metrics', 'data'] as const;
export type PageName = (typeof pageNames)[number];

/** The header by which the script of the dashboard says that it shows the page. */
export const dashboardHeader = 'x-dashboard';

/** @param request to a page, to the dashboard, or to `/api/sync` */
export function linksOf(request: Pick<HttpRequest, 'url' | 'headers'>): Links {
  const { pathname, searchParams } = new URL(request.url);
  // `/api`, or what the host has in its place, with the environment.
  const root = /^(.*?)\/(?:pages|dashboard|sync)(?:\/|$)/i.exec(pathname)?.[1] ?? '/api';
  const isDashboard = request.headers.get(dashboardHeader) !== null;
  const hasKey = !isDashboard && readDashboardAuth() === 'key';
  const code = hasKey ? searchParams.get('code') : null;
  const link = (path: string, query: Record<string, string>, from = root): string => {
    const search = new URLSearchParams(code === null ? query : { ...query, code }).toString();
    return search === '' ? `${from}/${path}` : `${from}/${path}?${search}`;
  };
  const base = isDashboard ? 'dashboard' : 'pages';
  return {
    page: (name, item, query = {}) =>
      link(`${base}/${name}${item === undefined ? '' : `/${encodeURIComponent(item)}`}`, query),
    route: (path, query = {}) => link(path, query),
    asset: (name) => `${root}/assets/${name}`,
    environment: (name) => {
      const app = root.replace(/\/environments\/[^/]+$/, '');
      return link(`${base}/overview`, {}, name === undefined ? app : `${app}/environments/${name}`);
    },
  };
}
