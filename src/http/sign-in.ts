import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import * as z from 'zod';
import { Problem } from './problem.ts';

/**
 * How people sign in to the pages, `DASHBOARD_AUTH`: with a function key, or with Entra ID by way of App Service. Anything
 * that is not `entra` asks for the key; the settings' check names a value that is neither.
 */
export function readDashboardAuth(env: Record<string, string | undefined> = process.env): 'key' | 'entra' {
  return env['DASHBOARD_AUTH']?.trim() === 'entra' ? 'entra' : 'key';
}

/**
 * App roles of the registration in Entra ID: who may read the pages with the mirror, and who may press their buttons too.
 * Without one nobody gets in, so that a registration without required assignment is not open to the whole tenant.
 */
export const appRoles = { read: 'Mirror.Read', operate: 'Mirror.Operate' } as const;

/** The header that the script of the pages sends. A form of another site cannot send it, and neither can a link. */
export const requestedWithHeader = 'x-requested-with';

/** Where App Service signs people in with Entra ID, and out (learn.microsoft.com: App Service authentication, "Feature architecture"). */
const signInPath = '/.auth/login/aad';
export const signOutPath = '/.auth/logout';

/** What App Service says of the caller, base64 of JSON (learn.microsoft.com: Work with user identities in App Service authentication). */
const clientPrincipal = z.object({
  auth_typ: z.literal('aad'),
  role_typ: z.string().nullish(),
  claims: z.array(z.looseObject({ typ: z.unknown().optional(), val: z.unknown().optional() })),
});

/** Who is signed in. */
export interface SignedIn {
  /** The name to greet them by. */
  name: string;
  /** Whether they may press buttons. */
  mayOperate: boolean;
}

/**
 * Lets people and programs pass that App Service has signed in and that have a role for this. App Service sets the
 * headers that say so, and lets no request from outside set them; without App Service anybody could.
 * @throws Problem 403 unless App Service authentication is on (`WEBSITE_AUTH_ENABLED`), 401 if nobody is signed in, 403
 * without a role
 */
export function signedIn(
  { headers, method }: Pick<HttpRequest, 'headers' | 'method'>,
  env: Record<string, string | undefined> = process.env,
): SignedIn {
  if (env['WEBSITE_AUTH_ENABLED']?.toLowerCase() !== 'true') {
    throw new Problem(403, 'The pages stay closed: App Service authentication is off.', {
      hint: 'Turn it on, or remove the app setting DASHBOARD_AUTH: then the function key opens the pages.',
    });
  }
  const header = headers.get('x-ms-client-principal');
  if (header === null) {
    throw new Problem(401, 'Nobody is signed in.', {
      hint: `Open ${signInPath} in a browser, or send a token of Entra ID for this app in Authorization.`,
    });
  }
  const roles = rolesIn(header);
  const isRead = ['GET', 'HEAD'].includes(method.toUpperCase());
  const needed = isRead ? [appRoles.read, appRoles.operate] : [appRoles.operate];
  if (!needed.some((role) => roles.includes(role))) {
    throw new Problem(403, `This needs the app role ${needed.join(' or ')}.`, {
      hint: `In Entra ID, under Enterprise applications, assign it to the person, group or program. Then open ${signOutPath} and sign in again.`,
    });
  }
  const name = headers.get('x-ms-client-principal-name')?.trim() || 'a program';
  return { name, mayOperate: roles.includes(appRoles.operate) };
}

/** The roles of the caller; none if somebody other than Entra ID signed them in. */
function rolesIn(header: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64').toString());
  } catch {
    return [];
  }
  const { claims, role_typ: roleType } = clientPrincipal.safeParse(value).data ?? {
    claims: [],
    role_typ: null,
  };
  return claims
    .filter(({ typ }) => typ === 'roles' || typ === roleType)
    .flatMap(({ val }) => (typeof val === 'string' ? [val] : []));
}

/**
 * A browser sends the session along with what another site makes it send. So a POST needs a header that browsers let
 * another site send only with permission, which this app gives to none.
 * @throws Problem 403 if another site may have sent the request
 */
export function forbidOtherSites({ headers }: Pick<HttpRequest, 'headers'>): void {
  // Browsers set it; pages cannot (W3C, Fetch Metadata Request Headers).
  const site = headers.get('sec-fetch-site') ?? 'same-origin';
  const isMarked = headers.get(requestedWithHeader) !== null || headers.get('authorization') !== null;
  if (isMarked && (site === 'same-origin' || site === 'none')) return;
  throw new Problem(403, 'Another site may have sent this request.', {
    hint: `Send it from the pages, or with a token in Authorization, or with the header ${requestedWithHeader}.`,
  });
}

/** Leads a browser to the sign-in and from there back to the page. */
export function toSignIn({ url }: Pick<HttpRequest, 'url'>): HttpResponseInit {
  const back = encodeURIComponent(pathWithoutKey(url));
  return { status: 302, headers: { location: `${signInPath}?post_login_redirect_uri=${back}` } };
}

/** The path and the query of an address. The function key, which opens other routes still, goes no further. */
export function pathWithoutKey(address: string): string {
  const { pathname, searchParams } = new URL(address);
  // The host reads names of parameters in any case.
  for (const name of [...searchParams.keys()]) if (name.toLowerCase() === 'code') searchParams.delete(name);
  return searchParams.size === 0 ? pathname : `${pathname}?${searchParams}`;
}
