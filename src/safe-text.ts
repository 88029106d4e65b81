/**
 * Text from outside (Dataverse, a token service, a storage account, a person's request) on its way to a log, a terminal,
 * a report or a page. It is data there: it must not contain a secret, and no character that a terminal obeys or that
 * changes the order in which text is shown.
 */

/** Keys and client secrets, with their encoded forms. They stay as long as the process. */
const secrets = new Map<string, readonly string[]>();
/** The same of tokens, the latest last. They expire, so only the latest are kept. */
const tokens = new Map<string, readonly string[]>();
const keptTokens = 50;
/** Shorter values are no secrets, and would be replaced in ordinary words. */
const shortestSecret = 12;

/** Remembers a key or client secret, so that `redact` finds it whatever text it appears in. */
export function rememberSecret(value: string | undefined): void {
  remember(secrets, value);
}

/** The same of a token. */
export function rememberToken(value: string | undefined): void {
  remember(tokens, value);
  for (const oldest of tokens.keys()) {
    if (tokens.size <= keptTokens) break;
    tokens.delete(oldest);
  }
}

function remember(list: Map<string, readonly string[]>, value: string | undefined): void {
  const secret = value?.trim() ?? '';
  // A terminal may have wrapped it. Each line of it opens as much.
  for (const part of new Set([secret, ...secret.split(/\s+/)])) {
    if (part.length < shortestSecret) continue;
    list.delete(part);
    list.set(part, formsOf(part));
  }
}

const htmlEscapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The texts that a secret can appear as, the longest first, so that none leaves a rest of another. */
function formsOf(secret: string): string[] {
  // Half of a surrogate pair has no encoding.
  const percent = encodeURIComponent(secret.toWellFormed());
  const strict = percent.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  const encoded = [percent, strict, new URLSearchParams({ '': secret }).toString().slice(1)];
  const lower = encoded.map((text) => text.replace(/%../g, (hex) => hex.toLowerCase()));
  const json = JSON.stringify(secret).slice(1, -1);
  const base64 = Buffer.from(secret).toString('base64');
  const html = secret.replace(/[&<>"']/g, (mark) => htmlEscapes[mark]!);
  const forms = new Set([secret, json, html, ...encoded, ...lower, base64, base64.replace(/=+$/, '')]);
  for (const text of insideBase64(secret)) {
    forms.add(text);
    forms.add(text.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return [...forms].sort((a, b) => b.length - a.length);
}

/**
 * The part of a base64 text that does not depend on what stands before and after the secret, for each of the three
 * places that a byte can have in it: `Bearer …` in base64 does not contain the base64 of the token.
 */
function insideBase64(secret: string): string[] {
  return [0, 1, 2].map((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    const text = bytes.toString('base64').replace(/=+$/, '');
    return text.slice(before === 0 ? 0 : before + 1, bytes.length % 3 === 0 ? undefined : -1);
  });
}

/** What looks like a secret, whoever it belongs to. */
const patterns: readonly [RegExp, string][] = [
  // A JSON Web Token. No attempt begins inside of what another one has read: that would take quadratic time.
  [/(?<![\w-])eyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g, '[token]'],
  // With a digit or long, unlike a word after "bearer".
  [/\bBearer\s+(?=[a-z.~+/=_-]*\d|[\w.~+/=-]{24})[\w.~+/=-]{8,}/gi, 'Bearer [token]'],
  // The user and password in the address of a proxy, and in its header.
  // Without a password, a user name has no separator: an address can stand in a list before one of mail.
  [/(\bhttps?:\/\/)(?!@)(?:[^\s/?#"'@:]*:[^\s/?#"'@]*|[^\s/?#"'@,;:]*)@/gi, '$1[secret]@'],
  // The same of a database. A password may have characters that it should not.
  [/(\bpostgres(?:ql)?:\/\/)[^\s"'<>]*@/gi, '$1[secret]@'],
  // With a digit or padding, or long and in both cases, unlike a word after "Basic".
  [
    /\bBasic\s+(?=[A-Za-z_+/-]*\d|[\w+/-]+=|(?=[A-Z+/_-]*[a-z])(?=[a-z+/_-]*[A-Z])[\w+/-]{16})[\w+/-]{8,}=*/g,
    'Basic [secret]',
  ],
  // A connection string, a form, an address with a key or a signature, and JSON.
  [
    /\b(AccountKey|SharedAccessSignature|SharedAccessKey|client_secret|client_assertion)=[^\s;&"'\\]+/gi,
    '$1=[secret]',
  ],
  [/([?&](?:code|sig)=)[^\s&"'\\]+/gi, '$1[secret]'],
  [/("(?:client_secret|client_assertion|access_token|refresh_token)"\s*:\s*")[^"]*/gi, '$1[secret]'],
];

/** Replaces the secrets of this process, and everything that looks like one. */
export function redact(text: string): string {
  let safe = text;
  for (const forms of [...secrets.values(), ...tokens.values()]) {
    for (const form of forms) if (safe.includes(form)) safe = safe.replaceAll(form, '[secret]');
  }
  for (const [pattern, replacement] of patterns) safe = safe.replace(pattern, replacement);
  return safe;
}

/**
 * Control characters other than line feed and tab, line separators, and the marks that change the direction of text
 * (unicode.org: UAX #9, UTR #36).
 */
const unprintable = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Replaces characters that a terminal obeys, or that reorder text, with their escapes: `\u001b`. */
export function printable(text: string): string {
  return text.replace(
    unprintable,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `value` as JSON on one line that a terminal can show. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value));
}

/** `text` without secrets and unprintable characters. Line breaks and tabs stay. */
export function safeText(text: string): string {
  return printable(redact(text.replace(/\r\n?/g, '\n')));
}

/** The same on one line. */
export function safeLine(text: string): string {
  return printable(redact(text.replace(/\s+/g, ' ').trim()));
}
