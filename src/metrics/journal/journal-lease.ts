import type { BlobClient, BlobLeaseClient, ContainerClient } from '@azure/storage-blob';
import { ConflictError } from '../../errors.ts';
import { errorCode, inContainer, statusOf, storageError } from '../../storage/errors.ts';
import type { ReadState } from './stragglers.ts';

/** How far the journal is written to Dataverse. */
export interface JournalState extends ReadState {
  /** The environment of Dataverse that it is of; see journal-owner.ts. Earlier versions remove it. */
  environment: string;
  /** How many poison records exist. */
  poison: number;
  /** 1 once all poison records have the ids that this version of the app derives. Earlier versions remove it. */
  poisonIds: number;
  /** When to write to Dataverse again after a failure, in milliseconds since 1970. */
  retryAt: number;
  /** Consecutive failures without any progress. */
  failures: number;
  /** The same for the stragglers: when to write them again, and after how many failures. */
  stragglersAt: number;
  stragglerFailures: number;
}

const initialState: JournalState = {
  generation: 1,
  offset: 0,
  poison: 0,
  poisonIds: 0,
  retryAt: 0,
  failures: 0,
  stragglersAt: 0,
  stragglerFailures: 0,
  environment: '',
  stragglers: '',
  readTo: '',
  settled: '',
};

/** Reads the state from the metadata of its empty blob, with names in lower case: one cheap request. */
export async function readState(blob: BlobClient): Promise<JournalState> {
  try {
    const { metadata = {} } = await blob.getProperties();
    const entries = Object.entries(initialState).map(([name, initial]) => {
      const stored = metadata[name.toLowerCase()] ?? initial;
      return [name, typeof initial === 'string' ? stored : Number(stored)];
    });
    return Object.fromEntries(entries) as JournalState;
  } catch (error) {
    if (statusOf(error) === 404) return initialState;
    throw error;
  }
}

/**
 * Storage grants leases of 15 to 60 seconds (learn.microsoft.com: Lease Blob). After a crash of the holder, the
 * next one waits for the rest of this time.
 */
const shortestLease = 15;
const renewEveryMs = 4_000;
/** A lease that was not renewed counts as lost so long before storage grants it to another instance. */
const marginMs = 5_000;

/**
 * The exclusive right to write the journal's records to Dataverse and to change its state. It is renewed in the
 * background. `lost` aborts before another instance can acquire the lease, so that writes in progress stop;
 * storage rejects changes of the state from an instance that lost it.
 */
export class JournalLease {
  readonly #blob: BlobClient;
  readonly #lease: BlobLeaseClient;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #lostAfterMs: number;
  #renewedAt: number;
  state: JournalState;

  private constructor(
    blob: BlobClient,
    lease: BlobLeaseClient,
    state: JournalState,
    acquiredAt: number,
    seconds: number,
  ) {
    this.#blob = blob;
    this.#lease = lease;
    this.state = state;
    this.#renewedAt = acquiredAt;
    this.#lostAfterMs = seconds * 1000 - marginMs;
    this.#timer = setInterval(() => void this.#renew(), renewEveryMs);
  }

  /**
   * Acquires the lease; undefined while another instance holds it.
   * @param seconds 15 to 60
   */
  static async acquire(
    container: ContainerClient,
    blob: BlobClient,
    seconds = shortestLease,
  ): Promise<JournalLease | undefined> {
    const lease = blob.getBlobLeaseClient();
    for (;;) {
      const began = performance.now();
      try {
        await lease.acquireLease(seconds);
        return new JournalLease(blob, lease, await readState(blob), began, seconds);
      } catch (error) {
        if (errorCode(error) === 'LeaseAlreadyPresent') return undefined;
        if (statusOf(error) !== 404) throw error;
        await createStateBlob(container, blob);
      }
    }
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Makes sure that the lease is still held, by the clock: a process that was suspended can continue before its timers
   * run and abort `lost`.
   * @throws an AbortError if another instance may hold the lease
   */
  confirm(): void {
    if (performance.now() - this.#renewedAt > this.#lostAfterMs) this.#lost.abort();
    this.#lost.signal.throwIfAborted();
  }

  /** @throws ConflictError if another instance holds the lease by now */
  async change(change: Partial<JournalState>): Promise<void> {
    const state = { ...this.state, ...change };
    const metadata = Object.entries(state)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name.toLowerCase(), String(value)]);
    try {
      await this.#blob.setMetadata(Object.fromEntries(metadata), {
        conditions: { leaseId: this.#lease.leaseId },
      });
    } catch (error) {
      const known = storageError(error, 'change the state of', 'the journal of campaign metrics');
      if (known instanceof ConflictError) this.#lost.abort();
      throw known;
    }
    this.state = state;
  }

  /** Releases the lease. If that fails, the lease expires. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#lease.releaseLease().catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const began = performance.now();
    if (began - this.#renewedAt > this.#lostAfterMs) this.#lost.abort();
    try {
      await this.#lease.renewLease();
      this.#renewedAt = began;
    } catch (error) {
      if (statusOf(error) === 409) this.#lost.abort();
    }
  }
}

async function createStateBlob(container: ContainerClient, blob: BlobClient): Promise<void> {
  const create = () => blob.getBlockBlobClient().upload('', 0, { conditions: { ifNoneMatch: '*' } });
  try {
    await inContainer(container, create);
  } catch (error) {
    // Another instance created it first. If that instance also leased it, the status is 412 instead of 409.
    if (statusOf(error) !== 409 && statusOf(error) !== 412) throw error;
  }
}
