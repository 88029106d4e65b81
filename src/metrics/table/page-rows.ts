import type { Page } from '../../dataverse/read/page.ts';
import type { Row } from '../../dataverse/transport/reply.ts';

/** The rows of a page, parsed: campaign metrics have no number that a double does not hold. */
export function rowsOfPage(page: Page): Row[] {
  return JSON.parse(`[${page.body.toString('utf8', page.recordsStart, page.recordsEnd)}]`) as Row[];
}
