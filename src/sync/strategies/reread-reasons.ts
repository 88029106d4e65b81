/** The reasons why a table is read again as one, each of them once; undefined if there is none. */
export function joinReasons(reasons: readonly (string | undefined)[]): string | undefined {
  const all = new Set(reasons.flatMap((reason) => reason?.split(separator) ?? []));
  return all.size === 0 ? undefined : [...all].join(separator);
}

/** Why a table is read again because a person, or another program, asked for it. */
export const onRequest = 'on request';

/** Why all tables are read again once one of them shows that the source has moved back in time. */
export const movedBack = 'Dataverse has moved back in time (restored, copied or reset)';

/** Whether this reason is among the joined ones. */
export function isOfMovedBack(reasons: string | undefined): boolean {
  const all = reasons?.split(separator) ?? [];
  return all.includes(movedBack) || all.includes(otherOrganization);
}

/** Why all tables are read again if another organisation answers at the address. */
export const otherOrganization = 'Dataverse is another organisation than before';

const separator = '; ';
