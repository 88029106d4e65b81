const annotations = 'odata.include-annotations';

/**
 * The Prefer header of a request that needs some preferences and whose caller asks for more. Those of the request win, because
 * its function depends on them; both lists of annotations apply.
 */
export function mergePrefer(own: string | undefined, given: string | undefined): string | undefined {
  if (own === undefined || given === undefined) return own ?? given;
  const merged = parse(own);
  for (const [name, text] of parse(given)) {
    const before = merged.get(name);
    if (before === undefined) merged.set(name, text);
    else if (name === annotations) merged.set(name, `${name}="${listOf(before)},${listOf(text)}"`);
  }
  return [...merged.values()].join(',');
}

/** The preferences by their names in lower case. */
function parse(header: string): Map<string, string> {
  const parts = header.match(/(?:[^,"]|"[^"]*")+/g) ?? [];
  return new Map(
    parts.map(
      (part) =>
        [
          part
            .trim()
            .split(/[=;\s]/, 1)[0]!
            .toLowerCase(),
          part.trim(),
        ] as const,
    ),
  );
}

function listOf(preference: string): string {
  return preference
    .slice(preference.indexOf('=') + 1)
    .replaceAll('"', '')
    .trim();
}

/** Headers of a request over those of its options, with both Prefer headers. */
export function mergeHeaders(
  given: Readonly<Record<string, string | undefined>> = {},
  own: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const defined = (headers: object) => Object.entries(headers).filter(([, value]) => value !== undefined);
  const rest = (headers: object) => defined(headers).filter(([name]) => !/^prefer$/i.test(name));
  const preferOf = (headers: object) => defined(headers).find(([name]) => /^prefer$/i.test(name))?.[1];
  const prefer = mergePrefer(preferOf(own), preferOf(given));
  return Object.fromEntries([
    ...rest(given),
    ...rest(own),
    ...(prefer === undefined ? [] : [['Prefer', prefer]]),
  ]);
}
