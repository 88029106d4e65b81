import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { LandingZone } from '../../src/storage/fabric/landing-zone.ts';
import { withDatabase } from '../sync/truth.ts';
import { readParquet } from './read-parquet.ts';

type Row = Record<string, unknown>;

interface MirroredTable {
  /** Of the metadata file: another one is of another folder. */
  etag: string;
  key: string;
  types: Map<string, string>;
  rows: Map<string, Row>;
  lastNumber: number;
}

/** How the service leaves files that it has read. The last one stays. */
export type Consumption = 'keeps' | 'deletes' | 'moves';

/**
 * What open mirroring makes of a landing zone, by its documentation: it reads the files of each folder in the order of their
 * numbers, without a gap, and drops a table with its folder. Here it fails where the service would stop or double a row.
 */
export class Fabric {
  readonly landingZone: LandingZone;
  readonly tables = new Map<string, MirroredTable>();
  /** How many files it has read. */
  files = 0;
  readonly #container: ContainerClient;
  readonly #root: string;

  constructor(container: ContainerClient, root: string) {
    this.#container = container;
    this.#root = root;
    this.landingZone = this.open();
  }

  /** The landing zone as another process has it. */
  open(): LandingZone {
    return new LandingZone(this.#container, this.#root);
  }

  /** A landing zone of its own in a storage emulator. */
  static async create(connectionString: string): Promise<Fabric> {
    const service = BlobServiceClient.fromConnectionString(connectionString);
    const container = service.getContainerClient(`lake-${randomBytes(5).toString('hex')}`);
    await container.create();
    return new Fabric(container, 'item/Files/LandingZone');
  }

  /** The names of all blobs in the landing zone. */
  async names(): Promise<string[]> {
    const prefix = `${this.#root}/`;
    const names: string[] = [];
    for await (const { name } of this.#container.listBlobsFlat({ prefix }))
      names.push(name.slice(prefix.length));
    return names.sort();
  }

  /** Reads what is new. */
  async mirror(consumption: Consumption = 'keeps'): Promise<void> {
    const folders = Map.groupBy(
      (await this.names()).filter((name) => name.includes('/')),
      (name) => name.split('/')[0]!,
    );
    for (const name of this.tables.keys()) if (!folders.has(name)) this.tables.delete(name);
    for (const [folder, names] of folders) await this.#mirrorFolder(folder, names, consumption);
  }

  async #mirrorFolder(folder: string, names: readonly string[], consumption: Consumption): Promise<void> {
    const files = names.filter((name) => /^[^/]+\/\d{20}\.parquet$/.test(name));
    if (!names.includes(`${folder}/_metadata.json`)) {
      if (files.length > 0) throw new Error(`${folder} has files and does not say what its key is`);
      this.tables.delete(folder);
      return;
    }
    const metadata = this.#blob(`${folder}/_metadata.json`);
    const { etag = '' } = await metadata.getProperties();
    let table = this.tables.get(folder);
    if (table?.etag !== etag) {
      const { keyColumns } = JSON.parse((await metadata.downloadToBuffer()).toString()) as {
        keyColumns: string[];
      };
      table = { etag, key: keyColumns[0]!, types: new Map(), rows: new Map(), lastNumber: 0 };
      this.tables.set(folder, table);
    }
    for (const name of files) {
      const number = Number(/(\d{20})\.parquet$/.exec(name)![1]);
      if (number <= table.lastNumber) continue;
      if (number !== table.lastNumber + 1) throw new Error(`${name} comes after number ${table.lastNumber}`);
      apply(table, name, await this.#blob(name).downloadToBuffer());
      table.lastNumber = number;
      this.files += 1;
    }
    for (const name of files.slice(0, -1)) await this.#consume(name, consumption);
  }

  async #consume(name: string, consumption: Consumption): Promise<void> {
    if (consumption === 'keeps') return;
    if (consumption === 'moves') {
      const bytes = await this.#blob(name).downloadToBuffer();
      await this.#blob(name.replace('/', '/_ProcessedFiles/')).upload(bytes, bytes.length);
    }
    await this.#blob(name).delete();
  }

  #blob(name: string) {
    return this.#container.getBlockBlobClient(`${this.#root}/${name}`);
  }

  /** Deletes the folder of a table, as its owner does to have all rows again. */
  async deleteFolder(folder: string): Promise<void> {
    for (const name of await this.names()) if (name.startsWith(`${folder}/`)) await this.#blob(name).delete();
  }

  /**
   * Differences from the databases of a mirror, as sentences. None if the tables have the same rows.
   * @param databases the files of the mirror
   */
  differences(databases: readonly Uint8Array[]): string[] {
    const found: string[] = [];
    const seen = new Set<string>();
    for (const bytes of databases) {
      withDatabase(bytes, (db) => {
        const tables = db
          .prepare(
            `SELECT table_name AS name FROM _sync_state WHERE table_name IN (SELECT name FROM sqlite_master)`,
          )
          .all() as { name: string }[];
        for (const { name } of tables) {
          seen.add(name);
          found.push(...this.#tableDifferences(db, name));
        }
      });
    }
    for (const name of this.tables.keys()) if (!seen.has(name)) found.push(`${name} should not be there`);
    return found;
  }

  #tableDifferences(db: DatabaseSync, name: string): string[] {
    const found: string[] = [];
    const columns = (db.prepare('SELECT name FROM pragma_table_info(?)').all(name) as { name: string }[]).map(
      (column) => column.name,
    );
    const live = columns.includes('_deleted_at') ? ' WHERE _deleted_at IS NULL' : '';
    const statement = db.prepare(`SELECT * FROM "${name}"${live}`);
    statement.setReadBigInts(true);
    const rows = statement.all() as Row[];
    const table = this.tables.get(name);
    if (table === undefined) return rows.length === 0 ? [] : [`${name} is missing`];
    const ids = new Set<string>();
    for (const row of rows) {
      const id = String(row[table.key]);
      ids.add(id);
      const mirrored = table.rows.get(id);
      if (mirrored === undefined) {
        found.push(`${name} ${id} is missing`);
        continue;
      }
      for (const column of columns) {
        if (column === '_deleted_at') continue;
        const value = mirrored[column] ?? null;
        if (!isSame(value, row[column], table.types.get(column) ?? '')) {
          found.push(`${name} ${id} ${column}: ${show(value)} is not ${show(row[column])}`);
        }
      }
    }
    for (const id of table.rows.keys()) if (!ids.has(id)) found.push(`${name} ${id} should not be there`);
    for (const column of table.types.keys()) {
      if (!columns.includes(column)) found.push(`${name}.${column} should not be there`);
    }
    return found;
  }
}

const marker = '__rowMarker__';

function apply(table: MirroredTable, name: string, bytes: Uint8Array): void {
  const { types, rows } = readParquet(bytes);
  const hasMarkers = types.has(marker);
  if (hasMarkers && [...types.keys()].at(-1) !== marker)
    throw new Error(`${name}: the marker is not the last column`);
  types.delete(marker);
  for (const [column, type] of types) {
    const known = table.types.get(column);
    if (known !== undefined && known !== type)
      throw new Error(`${name}: ${column} was ${known} and is ${type}`);
    table.types.set(column, type);
  }
  for (const { [marker]: action = 0, ...row } of rows) {
    const id = row[table.key];
    if (typeof id !== 'string') throw new Error(`${name} has a row without a key`);
    if (action === 0 && table.rows.has(id)) throw new Error(`${name} inserts ${id} twice`);
    if (action === 2) table.rows.delete(id);
    else if (action === 0 || action === 4) table.rows.set(id, row);
    else throw new Error(`${name} has the marker ${action}`);
  }
}

function isSame(value: unknown, expected: unknown, type: string): boolean {
  if (value === null || expected === null) return value === expected;
  const text = String(expected);
  if (type === 'Bool') return value === (text === '1');
  if (type === 'Int32') return BigInt(value as number) === expected;
  if (type === 'Int64') return value === expected;
  if (type === 'Float64') return value === Number(text);
  if (type.startsWith('Decimal')) return value === plainDecimal(text);
  if (type.startsWith('Date')) return new Date((value as number) * 86_400_000).toISOString().startsWith(text);
  if (type.startsWith('Timestamp')) return value === microseconds(text);
  if (type === 'Binary') return Buffer.from(value as Uint8Array).equals(Buffer.from(expected as Uint8Array));
  return value === text || isSameJson(String(value), text);
}

/** PostgreSQL does not keep the spaces and the order of members. */
function isSameJson(one: string, other: string): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(one), JSON.parse(other));
  } catch {
    return false;
  }
}

/** Without an exponent, and without zeros that say nothing. */
function plainDecimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  const padded = point <= 0 ? `${'0'.repeat(1 - point)}${digits}` : digits.padEnd(point, '0');
  const at = Math.max(point, 1);
  const before = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const after = padded.slice(at).replace(/0+$/, '');
  const plain = after === '' ? before : `${before}.${after}`;
  return sign === '-' && plain !== '0' ? `-${plain}` : plain;
}

function microseconds(text: string): bigint {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  const whole = Date.parse(text.replace(/\.\d+/, ''));
  return BigInt(whole) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
}

function show(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : (JSON.stringify(value)?.slice(0, 80) ?? String(value));
}
