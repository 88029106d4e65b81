import type { Catalog } from './read/catalog.ts';
import type { MirrorReader } from './read/mirror-reader.ts';

/** What the parts of the page share. */
export interface Shown {
  reader: MirrorReader;
  catalog: Catalog;
  /** What is shown, as it stands in the address. */
  address: URLSearchParams;
  /** Aborted once something else is to be shown. */
  signal: AbortSignal;
  /** The address of something else that the page can show. */
  link(change: Record<string, string | string[] | undefined>): string;
  /** Shows it. */
  go(change: Record<string, string | string[] | undefined>): void;
  /** Says something to people, also to those who do not see the page. */
  say(text: string): void;
  /** Says how much was read. */
  sayRead(): void;
  /** Says why something failed. Offers the newer state, if that is why. */
  fail(error: unknown): void;
}
