import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { TableConfig } from '../../../src/config/entities.ts';
import { ConflictError } from '../../../src/errors.ts';
import type { Table } from '../../../src/schema/table.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import type { Sqlite } from '../../../src/sqlite/sqlite.ts';
import type {
  Commit,
  DatabaseFile,
  FileBlocks,
  FileContent,
  FilePart,
  StoredFile,
} from '../../../src/storage/database/database-file.ts';
import { rowVersion } from '../../../src/sync/fetch/row-version.ts';
import { mirrorTable } from '../../../src/target/common/mirror-table.ts';
import type { MirrorTarget, ShardPart } from '../../../src/target/mirror-target.ts';
import { SqliteMirror } from '../../../src/target/sqlite/sqlite-mirror.ts';
import type { TableState } from '../../../src/target/state.ts';
import { column, table } from '../../schema/tables.ts';
import { memoryStorage } from '../../sync/memory-storage.ts';

/** Ten tables that refer to each other, for mirrors of any size. */
export const tables = Array.from({ length: 10 }, (_, n) =>
  table(
    `new_t${n}`,
    [
      column('name', 'text'),
      column('amount', 'real'),
      column('description', 'text'),
      column('_parent_value', 'guid', 'Edm.Guid'),
      column('versionnumber', 'integer', 'Edm.Int64'),
    ],
    {
      versionColumn: 'versionnumber',
      foreignKeys: [{ column: '_parent_value', targets: [`new_t${(n + 1) % 10}`], source: 'metadata' }],
    } as never,
  ),
);

/** A table of which the mirror keeps deleted rows, and marks them. */
export const marked = mirrorTable({ ...tables[0]!, logicalName: 'new_marked', name: 'new_markeds' }, {
  deletes: 'mark',
} as TableConfig);

/** A pseudo-random number from 0 to 1, so that a mirror can be made again. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** The id of a row: in an order that has nothing to do with that of the rows. */
export function idOf(n: number): string {
  const scattered = (BigInt(n) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn;
  const hex = scattered.toString(16).padStart(16, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8000-${n.toString(16).padStart(12, '0')}`;
}

/** A database in a file of the disk, without history: what it counts is what a commit and a merge move. */
export class DiskFile implements DatabaseFile {
  readonly #path: string;
  readonly #blockSize = 256 * 1024;
  #version = 1;
  /** In which version each block was written last. */
  readonly #written = new Map<number, number>();
  readBytes = 0;
  reads = 0;

  constructor(path: string) {
    this.#path = path;
  }

  #length(): number {
    try {
      const file = openSync(this.#path, 'r');
      const { size } = fstatSync(file);
      closeSync(file);
      return size;
    } catch {
      return 0;
    }
  }

  async open(ifNot?: string): Promise<StoredFile | 'absent' | 'unchanged'> {
    const length = this.#length();
    if (length === 0) return 'absent';
    const etag = `"${this.#version}"`;
    return etag === ifNot ? 'unchanged' : this.state(etag, length);
  }

  state(etag: string, length: number): StoredFile {
    const read = async (parts: readonly FilePart[]): Promise<void> => {
      if (etag !== `"${this.#version}"`) throw new ConflictError('the file changed');
      const file = openSync(this.#path, 'r');
      for (const { at, into } of parts) {
        if (at + into.length > length) throw new RangeError('behind the end of the file');
        readSync(file, into, 0, into.length, at);
        this.readBytes += into.length;
      }
      this.reads += parts.length;
      closeSync(file);
    };
    return { etag, length, read };
  }

  async currentEtag(): Promise<string | undefined> {
    return this.#length() === 0 ? undefined : `"${this.#version}"`;
  }

  async blocks(): Promise<FileBlocks | undefined> {
    const length = this.#length();
    if (length === 0) return undefined;
    const blocks = Array.from({ length: Math.ceil(length / this.#blockSize) }, (_, n) => {
      const from = n * this.#blockSize;
      const to = Math.min(length, from + this.#blockSize);
      return { id: `${n}-${to}-${this.#written.get(from) ?? 0}`, from, to };
    });
    return { etag: `"${this.#version}"`, length, blocks };
  }

  async commit(content: FileContent, { etag }: { etag: string }): Promise<Commit> {
    if (etag !== ((await this.currentEtag()) ?? 'absent')) throw new ConflictError('the file changed');
    let [blocks, stagedBlocks, stagedBytes] = [0, 0, 0];
    const file = openSync(this.#path, this.#length() === 0 ? 'w' : 'r+');
    for (let from = 0; from < content.length; from += this.#blockSize) {
      const to = Math.min(content.length, from + this.#blockSize);
      blocks += 1;
      if (!content.isChanged(from, to)) continue;
      const bytes = await content.read(from, to);
      writeSync(file, bytes, 0, bytes.length, from);
      this.#written.set(from, this.#version);
      stagedBlocks += 1;
      stagedBytes += bytes.length;
    }
    closeSync(file);
    this.#version += 1;
    return { etag: `"${this.#version}"`, blocks, stagedBlocks, stagedBytes };
  }
}

/** A mirror in a file of the disk, which counts nothing again. */
export function openLarge(sqlite: Sqlite, file: DiskFile, cacheBytes: number): SqliteMirror {
  const telemetry = { log: () => undefined, event: () => undefined, metric: () => undefined };
  const documents = memoryStorage().published;
  return new SqliteMirror({
    sqlite,
    file,
    documents,
    telemetry,
    maxBytes: 2 ** 35,
    cacheBytes,
    checkHours: 0,
  });
}

/** A shard with these rows. */
export function shardOf(
  sqlite: Sqlite,
  model: (typeof tables)[number],
  rows: readonly object[],
  deleted: readonly string[] = [],
): ShardPart {
  const shard = Shard.create(sqlite);
  const options = { columns: model.columns, primaryKey: model.primaryKey, version: rowVersion };
  const body = Buffer.from(rows.map((row) => JSON.stringify(row)).join());
  const writer = shard.recordWriter('rows', options);
  if (body.length > 0) writer.write(body, 0, body.length);
  shard.addDeleted(deleted);
  const bytes = Buffer.from(shard.export());
  shard.close();
  return { read: async () => new Uint8Array(bytes), isFinal: true };
}

/** A row as Dataverse sends it. */
export function record(n: number, t: number, version: number, text: string): object {
  return {
    '@odata.etag': `W/"${version}"`,
    [`new_t${t}id`]: idOf(n),
    name: `row ${n} at ${version}`,
    amount: n / 3,
    description: text,
    _parent_value: idOf(Math.floor(n / 7)),
    versionnumber: version,
  };
}

const merge = {
  history: false,
  startHistory: false,
  massDeleteLimit: 1,
  isComplete: false,
  comparedKeys: undefined,
};

let runs = 0;

/** Merges rows and deletes in one transaction, as a round does. */
export function mergeInto(mirror: MirrorTarget, shards: ReadonlyMap<Table, ShardPart>): Promise<Merged> {
  return mergeAll(mirror, new Map([...shards].map(([model, shard]) => [model, [shard]])), 0);
}

/** Loads all rows of a table in one transaction. @param incomingBytes the size of the shards */
export function loadInto(
  mirror: MirrorTarget,
  model: Table,
  shards: readonly ShardPart[],
  incomingBytes: number,
): Promise<Merged> {
  return mergeAll(mirror, new Map([[model, shards]]), incomingBytes);
}

export interface Merged {
  /** How many rows the tables have, by logical name. */
  rows: Map<string, number>;
  bytes: number;
  stagedBytes: number;
  stagedBlocks: number;
}

async function mergeAll(
  mirror: MirrorTarget,
  shards: ReadonlyMap<Table, readonly ShardPart[]>,
  incomingBytes: number,
): Promise<Merged> {
  runs += 1;
  const at = new Date(Date.UTC(2026, 10, 26) + runs * 1000).toISOString();
  const loaded = await mirror.loadState();
  const options = {
    loaded,
    runId: `run-${runs}`,
    at,
    synced: [...tables, marked],
    incomingBytes,
    recounts: true,
  };
  return mirror.transaction(options, async (transaction) => {
    const rows = new Map<string, number>();
    for (const [model, parts] of shards) {
      const merged = await transaction.mergeTable(model, parts, merge);
      rows.set(model.logicalName, merged.rows);
      const state: TableState = {
        table: merged.table,
        strategy: 'delta',
        rows: merged.rows,
        runsSinceSweep: 0,
        syncedAt: at,
      };
      transaction.state.entities[model.logicalName] = state;
    }
    transaction.state.configured = tables.map(({ logicalName }) => logicalName);
    await transaction.writeLabels(undefined, async () => undefined);
    await transaction.countDangling(new Set([...shards.keys()].map(({ logicalName }) => logicalName)));
    const { database } = await transaction.commit({ outcome: { runs } });
    const { bytes, stagedBytes, stagedBlocks } = database;
    return { rows, bytes, stagedBytes, stagedBlocks };
  });
}

/** Adds rows to the tables of a mirror on disk until the file has about so many bytes, with SQLite itself. */
export function growTo(path: string, bytes: number, textLength = 1000): number {
  const db = new DatabaseSync(path);
  db.exec(
    'PRAGMA journal_mode=off; PRAGMA synchronous=off; PRAGMA cache_size=-400000; PRAGMA foreign_keys=off',
  );
  const perTable = Math.ceil(bytes / tables.length / (textLength + 250));
  for (const { name, logicalName } of tables) {
    db.exec('BEGIN');
    const insert = db.prepare(
      `INSERT INTO ${name} (${logicalName}id, name, amount, description, _parent_value, versionnumber)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    const text = 'x'.repeat(textLength);
    for (let n = 0; n < perTable; n += 1) {
      insert.run(idOf(n), `row ${n}`, n / 3, text, idOf(Math.floor(n / 7)), 1);
    }
    const { rows } = db.prepare(`SELECT count(*) AS rows FROM ${name}`).get() as { rows: number };
    db.prepare(
      "UPDATE _sync_state SET rows = ?, state = json_set(state, '$.rows', ?) WHERE table_name = ?",
    ).run(rows, rows, name);
    db.exec('COMMIT');
  }
  db.close();
  return perTable;
}
