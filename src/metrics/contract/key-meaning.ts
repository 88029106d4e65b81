import { withoutTrailing } from './without-trailing.ts';

/**
 * A text of a record's key, reduced to what tells keys apart: `Été ` and `ete` are the same.
 *
 * Dataverse compares an alternate key by the collation of its SQL database, which ignores case and trailing spaces, and
 * in most environments accents and the width of characters (learn.microsoft.com: Windows collation name). So these do
 * not tell keys apart here either. Only the accents of Latin, Greek and Cyrillic letters are ignored: in other scripts
 * such marks are letters. The text itself is stored as it was sent.
 */
export function keyMeaning(text: string): string {
  const letters = text.normalize('NFKD').toLowerCase().normalize('NFKD');
  return withoutTrailing(letters.replace(/[\u0300-\u036f]/g, ''), ' ');
}
