/** `accounts(<key>)` as a set name and a key. */
export function setAndKey(segment: string): { name: string; key?: string } {
  const open = segment.indexOf('(');
  if (open < 0 || !segment.endsWith(')')) return { name: segment };
  return { name: segment.slice(0, open), key: segment.slice(open + 1, -1) };
}

/** The segments of a path below the root of the API, or undefined for other paths. A key may contain a slash. */
export function segmentsOf(path: string): string[] | undefined {
  const match = /^\/api\/data\/v9\.\d(?:\/(.*))?$/s.exec(path);
  if (match === null) return undefined;
  return [...(match[1] ?? '').matchAll(/(?:\((?:'(?:[^']|'')*'|[^')])*\)|[^/(])+/g)].map(
    ([segment]) => segment,
  );
}
