import type { Fragment } from '../http/fragment.ts';
import type { Row } from '../rows/values.ts';

/** The rows of one page as JSON, cached until the table changes. */
export interface CachedPage {
  rows: Fragment;
  count: number;
  first: Row | undefined;
  last: Row | undefined;
  more: boolean;
}
