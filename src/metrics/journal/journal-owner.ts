import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError } from '../../errors.ts';
import type { JournalLease, JournalState } from './journal-lease.ts';

/** The journal holds the records of an app with another environment of Dataverse. */
export class OtherEnvironmentError extends ConfigurationError {
  override readonly name = 'OtherEnvironmentError';
  /** That environment. */
  readonly owner: string;

  constructor(owner: string, own: string, place: string) {
    super(
      `The journal of campaign metrics in ${place} belongs to another Dataverse environment (${owner}).`,
      {
        operation: 'queue campaign metrics',
        object: place,
        hint:
          `Set SYNC_QUEUE_PREFIX, SYNC_WORK_CONTAINER and SYNC_DATABASE_CONTAINER of the app for ${own} to names of its own. ` +
          'If this is one app that was given another environment, remove the metadata `environment` of the blob ' +
          'metrics/journal/state: what is queued is then written to the new environment.',
      },
    );
    this.owner = owner;
  }
}

/**
 * The name by which a journal knows its environment: its host. All servers of this machine have one name, because the
 * port of the sample Dataverse can change.
 */
export function environmentOf(origin: string): string {
  const { host, hostname } = new URL(origin);
  return /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(hostname) ? 'localhost' : host;
}

/** A drain that has the lease marks the journal soon. It is looked at this often, after so many milliseconds each. */
const looks = 5;
const lookEveryMs = 200;

/** The part of the journal that the owner needs. */
interface Claimed {
  state(): Promise<JournalState>;
  lease(): Promise<JournalLease | undefined>;
}

/**
 * Sees to it that a journal is used for one environment only. Two apps with the same work container share a journal;
 * each would write the records of the other to its own Dataverse. The first that queues a record marks the journal. The
 * mark is in the metadata that is read anyway; journals of earlier versions have none and are taken over.
 */
export class JournalOwner {
  readonly #environment: string;
  readonly #place: string;
  #claimed: Promise<void> | undefined;

  /** @param place the storage account and the container, for people */
  constructor(environment = '', place: string) {
    this.#environment = environment;
    this.#place = place;
  }

  /** @throws OtherEnvironmentError */
  confirm({ environment }: Pick<JournalState, 'environment'>): void {
    if (this.#environment === '' || environment === '' || environment === this.#environment) return;
    this.#claimed = undefined;
    throw new OtherEnvironmentError(environment, this.#environment, this.#place);
  }

  /** Marks the journal under its lease. If that fails, the lease is released. @throws OtherEnvironmentError */
  async mark(lease: JournalLease): Promise<void> {
    try {
      this.confirm(lease.state);
      const environment = this.#environment;
      if (lease.state.environment !== environment && environment !== '') await lease.change({ environment });
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  /** Makes sure that the journal is marked. @throws OtherEnvironmentError */
  claim(journal: Claimed): Promise<void> {
    this.#claimed ??= this.#claim(journal).catch((error: unknown) => {
      this.#claimed = undefined;
      throw error;
    });
    return this.#claimed;
  }

  async #claim(journal: Claimed): Promise<void> {
    if (this.#environment === '' || (await this.#isMarked(journal))) return;
    const lease = await journal.lease();
    if (lease !== undefined) return lease.release();
    for (let look = 0; look < looks; look += 1) {
      await sleep(lookEveryMs);
      if (await this.#isMarked(journal)) return;
    }
    // It is a drain of an earlier version. The next record marks the journal.
    this.#claimed = undefined;
  }

  async #isMarked(journal: Claimed): Promise<boolean> {
    const state = await journal.state();
    this.confirm(state);
    return state.environment !== '';
  }
}
