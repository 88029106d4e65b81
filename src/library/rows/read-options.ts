import type { ReadRowOptions } from '../../dataverse/read/read-row.ts';
import { displayAnnotations } from '../query/annotations.ts';
import { RelatedQuery } from '../query/query.ts';
import { emptyState, expandText } from '../query/query-state.ts';
import type { RetrieveOptions } from './row-options.ts';

/** The options of a read of one row, as the layer below takes them. */
export function toReadOptions({
  select,
  expand = {},
  formatted,
}: RetrieveOptions<object, string>): ReadRowOptions {
  const expansions = Object.entries(expand).map(([navigation, of]) => ({
    navigation,
    state: of === true ? emptyState : of(new RelatedQuery()).state,
  }));
  return {
    select,
    expand: expandText(expansions),
    annotations: formatted ? displayAnnotations : undefined,
  };
}
