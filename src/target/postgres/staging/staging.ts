import { RetriableError } from '../../../errors.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import type { ShardToStage } from '../../mirror-target.ts';
import type { Connections } from '../connection/connections.ts';
import { dropStaged } from './drop-staged.ts';
import { createStaging, stageShard } from './stage-shard.ts';
import { hasStaging, stagingSchema } from './staged-shards.ts';

/** A smaller shard is loaded by the merge in less time than its tables take to be created and dropped. */
const defaultLeastBytes = 1_000_000;
/** Of the connections of a process, merges and readers need the others. */
const maxAtOnce = 2;
/** A fetch waits no longer, whatever the server does. In seconds. */
const patience = 90;

/** Brings shards to the server before the merge, beside the writer of the mirror. */
export class Staging {
  readonly #connections: Connections;
  readonly #sqlite: Sqlite;
  readonly #leastBytes: number;
  #isCreated = false;
  #running = 0;
  #waiting: (() => void)[] = [];
  /** The run whose first failure was thrown, and the run for which another try would fail, too. */
  #toldRun: string | undefined;
  #refusedRun: string | undefined;

  constructor(connections: Connections, sqlite: Sqlite, leastBytes = defaultLeastBytes) {
    this.#connections = connections;
    this.#sqlite = sqlite;
    this.#leastBytes = leastBytes;
  }

  /** See `MirrorTarget.stageShard`. */
  async stage(shard: ShardToStage): Promise<void> {
    const { runId, bytes } = shard;
    if (bytes.length < this.#leastBytes || this.#refusedRun === runId) return;
    try {
      await withinPatience((late) => this.#inTurn(late, () => this.#stage(shard)));
    } catch (error) {
      this.#isCreated = false;
      // A server that hangs would make each slice wait as long.
      if (!(error instanceof RetriableError) || error instanceof LateError) this.#refusedRun = runId;
      if (this.#toldRun === runId) return;
      this.#toldRun = runId;
      throw error;
    }
  }

  async #stage(shard: ShardToStage): Promise<void> {
    if (!this.#isCreated) await this.#create();
    this.#isCreated = true;
    await this.#connections.beside((mirror) =>
      mirror.about(shard.table.logicalName, () =>
        stageShard(this.#sqlite, mirror.in(stagingSchema(mirror.schema)), mirror, shard),
      ),
    );
  }

  #create(): Promise<void> {
    return this.#connections.beside(async (mirror) => {
      if (await hasStaging(mirror)) return;
      const schema = stagingSchema(mirror.schema);
      await mirror.run('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `dataverse staging ${schema}`,
      ]);
      await createStaging(mirror.in(schema));
    });
  }

  /** See `MirrorTarget.dropStaged`. */
  async drop(runId: string, whose: 'own' | 'others'): Promise<void> {
    let isMore = true;
    while (isMore) {
      isMore = await this.#connections.beside(async (mirror) => {
        if (!(await hasStaging(mirror))) return false;
        return dropStaged(mirror.in(stagingSchema(mirror.schema)), mirror, runId, whose);
      });
    }
  }

  /** A few at a time. What is late while it waits leaves the line, with its bytes. */
  async #inTurn<T>(late: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#running >= maxAtOnce) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        late.addEventListener('abort', () => {
          this.#waiting = this.#waiting.filter((one) => one !== resolve);
          reject(late.reason);
        });
      });
    } else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

/** The server took too long. */
class LateError extends RetriableError {
  override readonly name: string = 'LateError';
}

/**
 * Runs work that is told when it takes too long. What has begun then goes on, and nobody waits for it.
 * @throws LateError if it takes too long
 */
async function withinPatience(work: (late: AbortSignal) => Promise<void>): Promise<void> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new LateError(`PostgreSQL took no rows for ${patience} seconds.`, {
        operation: 'stage a shard',
      });
      reject(error);
      late.abort(error);
    }, patience * 1000);
  });
  const done = work(late.signal);
  done.catch(() => undefined);
  try {
    await Promise.race([done, end]);
  } finally {
    clearTimeout(timer);
  }
}
