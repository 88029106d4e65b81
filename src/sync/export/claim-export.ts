import { ConflictError } from '../../errors.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { type ExportDocument, readExport, store } from './export-document.ts';

/** A process that has not renewed its claim for so long is dead. An upload is given up before that. */
const claimSeconds = 600;
/** The claim is renewed when so much of it is over. */
const renewSeconds = 60;

/** The document of the export, held by this process. */
export class ExportClaim {
  value: ExportDocument;
  readonly #services: SyncServices;
  readonly #owner: string;
  #etag: string;
  #renewedAt: number;

  private constructor(services: SyncServices, owner: string, value: ExportDocument, etag: string) {
    this.#services = services;
    this.#owner = owner;
    this.value = value;
    this.#etag = etag;
    this.#renewedAt = services.now().getTime();
  }

  /** @returns the seconds until the claim of another process ends, if there is one */
  static async begin(services: SyncServices): Promise<ExportClaim | number> {
    const { value, etag } = await readExport(services, services.randomId());
    const left = secondsLeft(services, value);
    if (left > 0) return left;
    const owner = services.randomId();
    const claimed = { ...value, claim: claimOf(services, owner) };
    try {
      return new ExportClaim(services, owner, claimed, await store(services, paths.export, claimed, etag));
    } catch (error) {
      if (error instanceof ConflictError) return claimSeconds;
      throw error;
    }
  }

  /** Stores what is known by now, and goes on. @throws ConflictError if another process took over */
  async renew(): Promise<void> {
    this.#renewedAt = this.#services.now().getTime();
    await this.#store({ ...this.value, claim: claimOf(this.#services, this.#owner) });
  }

  /** The same, unless it was done lately. */
  async renewIfDue(): Promise<void> {
    const seconds = (this.#services.now().getTime() - this.#renewedAt) / 1000;
    if (seconds < 0 || seconds > renewSeconds) await this.renew();
  }

  /** Stores what is known, and lets others export. */
  async release(): Promise<void> {
    await this.#store({ ...this.value, claim: undefined });
  }

  async #store(value: ExportDocument): Promise<void> {
    this.#etag = await store(this.#services, paths.export, value, this.#etag);
    this.value = value;
  }
}

function claimOf({ now }: SyncServices, owner: string): NonNullable<ExportDocument['claim']> {
  return { owner, until: new Date(now().getTime() + claimSeconds * 1000).toISOString() };
}

/** Seconds for which a process holds the export. A time far in the future is that of a clock that was wrong. */
export function secondsLeft({ now }: Pick<SyncServices, 'now'>, { claim }: ExportDocument): number {
  if (claim === undefined) return 0;
  const seconds = (Date.parse(claim.until) - now().getTime()) / 1000;
  return seconds > 2 * claimSeconds ? 0 : Math.max(0, seconds);
}
