import { createHash } from 'node:crypto';
import type { HttpResponseInit } from '@azure/functions';
import { type Html, html } from './html.ts';
import { pageStyle } from './page-style.ts';

/** No scripts, no external resources, one inline style. A hostile value in a row cannot execute. */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(pageStyle.text).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A complete HTML page. `refreshSeconds` makes the browser reload it. */
export function pageResponse(
  title: string,
  content: Html,
  { status = 200, refreshSeconds }: { status?: number; refreshSeconds?: number | undefined } = {},
): HttpResponseInit {
  const refresh = refreshSeconds && html`<meta http-equiv="refresh" content="${refreshSeconds}">\n`;
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
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentSecurityPolicy,
  };
  return { status, headers, body: page.text };
}
