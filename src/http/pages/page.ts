import { createHash } from 'node:crypto';
import type { HttpResponseInit } from '@azure/functions';
import { type Html, html } from './html.ts';
import { pageStyle } from './page-style.ts';

/** No script, nothing from elsewhere, and only this style: whatever a row's text were, it could do nothing. */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(pageStyle.text).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A whole page. The address may hold the function key, so the page is not kept and does not tell where it came from. */
export function pageResponse(
  title: string,
  content: Html,
  options: { status?: number; refreshSeconds?: number } = {},
): HttpResponseInit {
  const { status = 200, refreshSeconds } = options;
  const refresh =
    refreshSeconds === undefined
      ? undefined
      : html`<meta http-equiv="refresh" content="${refreshSeconds}">
`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refresh}<title>${title}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
${content}
</main>
</body>
</html>
`;
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': contentSecurityPolicy,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      vary: 'Accept',
    },
    body: page.text,
  };
}
