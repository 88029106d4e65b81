import { isSameRead, valuesDigest, wholeDigest } from './fetched-table.ts';
import { afterPage } from './row-reader.ts';
import type { Strategy } from './strategy.ts';

/** Every row in every run. Rows absent from the read are deleted rows. */
export const full: Strategy<{ kind: 'all' }> = {
  reason: 'every table can be read in full',
  wholeTable: true,

  refusal: () => undefined,

  plan: () => ({ kind: 'all' }),

  async advance(position, reader) {
    const orderBy = `${reader.table.primaryKey} asc`;
    return afterPage(position, await reader.readPage({ orderBy, link: position.link }));
  },

  isComplete: () => true,

  comparedKeys: () => undefined,

  comparesValues: () => false,

  broughtNothing: (known, _read, fetched) => isSameRead(known, fetched),

  async cursor({ read, fetched, outcome }) {
    if (!outcome.isCurrent) return {};
    // Rows that were read again by id have values that the digest of the whole read lacks.
    if (read === undefined) return { contentDigest: await outcome.digestOf?.() };
    return {
      contentDigest: await wholeDigest(fetched, outcome, 'rows'),
      valuesDigest: valuesDigest(fetched),
    };
  },
};
