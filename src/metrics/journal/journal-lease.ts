import { type BlobClient, type BlobLeaseClient, type ContainerClient, RestError } from '@azure/storage-blob';
import { ConflictError } from '../../errors.ts';
import { type JournalState, readState, stateMetadata } from './journal-state.ts';

/**
 * Storage gives leases of 15 to 60 seconds (learn.microsoft.com: Lease Blob). When a process dies, its lease
 * holds up the next writer for this long.
 */
const leaseSeconds = 15;
const renewEveryMs = 4_000;
/** Without a renewal for so long, the lease counts as lost before storage gives it to another. */
const lostAfterMs = 10_000;

/**
 * The exclusive right to write the journal's records to Dataverse and to move its state.
 * It is renewed in the background. `lost` fires before another can have it, so that a write under way is
 * broken off; and storage itself refuses a change of state by one who has lost it.
 */
export class JournalLease {
  readonly #blob: BlobClient;
  readonly #lease: BlobLeaseClient;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #renewedAt: number;
  state: JournalState;

  constructor(blob: BlobClient, lease: BlobLeaseClient, state: JournalState, acquiredAt: number) {
    this.#blob = blob;
    this.#lease = lease;
    this.state = state;
    this.#renewedAt = acquiredAt;
    this.#timer = setInterval(() => void this.#renew(), renewEveryMs);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** @throws ConflictError where the lease was lost */
  async change(change: Partial<JournalState>): Promise<void> {
    const state = { ...this.state, ...change };
    try {
      await this.#blob.setMetadata(stateMetadata(state), { conditions: { leaseId: this.#lease.leaseId } });
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 412) {
        this.#lost.abort();
        throw new ConflictError('Another instance writes the journal now.', {
          operation: 'move the state of the journal',
          cause: error,
        });
      }
      throw error;
    }
    this.state = state;
  }

  /** Gives the right back. A lease that cannot be given back ends by itself. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#lease.releaseLease().catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const began = performance.now();
    if (began - this.#renewedAt > lostAfterMs) this.#lost.abort();
    try {
      await this.#lease.renewLease();
      this.#renewedAt = began;
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 409) this.#lost.abort();
    }
  }
}

/** Takes the lease, making the state blob where it is absent. Undefined while another has it. */
export async function acquireJournalLease(
  container: ContainerClient,
  blob: BlobClient,
): Promise<JournalLease | undefined> {
  const lease = blob.getBlobLeaseClient();
  for (;;) {
    const began = performance.now();
    try {
      await lease.acquireLease(leaseSeconds);
      return new JournalLease(blob, lease, await readState(blob), began);
    } catch (error) {
      const code = error instanceof RestError ? error.code : undefined;
      if (code === 'LeaseAlreadyPresent') return undefined;
      if (code === 'ContainerNotFound') await container.createIfNotExists();
      else if (code === 'BlobNotFound') await createEmpty(blob);
      else throw error;
    }
  }
}

async function createEmpty(blob: BlobClient): Promise<void> {
  try {
    await blob.getBlockBlobClient().upload('', 0, { conditions: { ifNoneMatch: '*' } });
  } catch (error) {
    // Another instance was quicker; with its lease on it, the condition fails in either way.
    if (!(error instanceof RestError) || (error.statusCode !== 409 && error.statusCode !== 412)) throw error;
  }
}
