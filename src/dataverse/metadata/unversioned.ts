import type { Attribute } from './attributes.ts';

/** Why values of a column change without a new version of their row: Dataverse computes them, or hides them from some users. */
export type UnversionedKind = 'computed' | 'secured';

/**
 * The properties whose values change without a new version of their row. Beside some attributes Dataverse keeps others: the
 * base currency value of an amount, and when and how a rollup column was computed.
 */
export function unversionedProperties(attributes: readonly Attribute[]): Map<string, UnversionedKind> {
  const kinds = new Map<string, UnversionedKind>();
  for (const { logicalName: name, unversioned } of attributes) {
    if (unversioned === undefined) continue;
    const beside = unversioned === 'rollup' ? [`${name}_date`, `${name}_state`] : [];
    for (const property of [name, `_${name}_value`, `${name}_base`, ...beside]) {
      if (unversioned !== 'secured') kinds.set(property, 'computed');
      else if (!kinds.has(property)) kinds.set(property, 'secured');
    }
  }
  return kinds;
}
