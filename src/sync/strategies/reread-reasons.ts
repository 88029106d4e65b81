/** The reasons why a table is read again as one, each of them once; undefined if there is none. */
export function joinReasons(reasons: readonly (string | undefined)[]): string | undefined {
  const all = new Set(reasons.flatMap((reason) => reason?.split(separator) ?? []));
  return all.size === 0 ? undefined : [...all].join(separator);
}

const separator = '; ';
