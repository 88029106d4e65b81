import type { ReadRowOptions } from '../../dataverse/read/read-row.ts';
import { displayAnnotations } from '../query/annotations.ts';
import { RelatedQuery } from '../query/query.ts';
import { type Expansion, emptyState, expandText } from '../query/query-state.ts';
import type { RetrieveOptions } from './row-options.ts';

/** What a read of one row expands. */
export function toExpansions(expand: RetrieveOptions<object, string>['expand'] = {}): Expansion[] {
  return Object.entries(expand).map(([navigation, of]) => ({
    navigation,
    state: of === true ? emptyState : of(new RelatedQuery()).state,
  }));
}

/** The options of a read of one row, as the layer below takes them. */
export function toReadOptions({
  select,
  expand,
  formatted,
}: RetrieveOptions<object, string>): ReadRowOptions {
  return {
    select,
    expand: expandText(toExpansions(expand)),
    annotations: formatted ? displayAnnotations : undefined,
  };
}
