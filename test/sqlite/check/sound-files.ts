import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SummarizedFile } from '../../../src/sqlite/check/summarized-file.ts';
import { checkTrees, type FileCheck, type Tree } from '../../../src/sqlite/check/tree-check.ts';

const blockSize = 256 * 1024;

/** The file that statements make, with pages of the size of the mirror's. */
export function databaseOf(
  statements: readonly string[],
  fill: (db: DatabaseSync) => void = () => undefined,
): Buffer {
  return withFile(undefined, (path) => {
    const db = new DatabaseSync(path);
    db.exec('PRAGMA page_size=8192; PRAGMA journal_mode=off; PRAGMA synchronous=off');
    for (const statement of statements) db.exec(statement);
    db.exec('BEGIN');
    fill(db);
    db.exec('COMMIT');
    db.close();
    return readFileSync(path);
  });
}

/** The file after more statements. */
export function changed(bytes: Uint8Array, statements: string): Buffer {
  return withFile(bytes, (path) => {
    const db = new DatabaseSync(path);
    db.exec('PRAGMA journal_mode=off');
    db.exec(statements);
    db.close();
    return readFileSync(path);
  });
}

/** What SQLite's own check finds; nothing for a sound file. */
export function findingsOf(bytes: Uint8Array, pragma: 'quick_check' | 'integrity_check'): string[] {
  return withFile(bytes, (path) => {
    try {
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        const rows = db.prepare(`PRAGMA ${pragma}`).all() as Record<string, string>[];
        return rows.map((row) => row[pragma]!).filter((text) => text !== 'ok');
      } finally {
        db.close();
      }
    } catch (error) {
      return [String(error)];
    }
  });
}

export function treesOf(bytes: Uint8Array): Tree[] {
  const rows = withFile(bytes, (path) => {
    const db = new DatabaseSync(path, { readOnly: true });
    const sql = 'SELECT name, tbl_name, type, rootpage, sql FROM sqlite_master WHERE rootpage > 0';
    const found = db.prepare(sql).all() as unknown as Record<string, string>[];
    db.close();
    return found;
  });
  const schema = { name: 'sqlite_schema', table: 'sqlite_schema', kind: 'table' as const, root: 1 };
  const trees = rows.map(({ name, tbl_name, type, rootpage, sql }) => ({
    name: name!,
    table: tbl_name!,
    kind: type as Tree['kind'],
    root: Number(rootpage),
    isBinary: true,
    isPartial: / WHERE /.test(sql ?? ''),
  }));
  return [{ ...schema, isBinary: true, isPartial: false }, ...trees];
}

/** What the check of this app finds. The summaries are saved and loaded, as between two steps. */
export function checkFile(bytes: Uint8Array, trees: readonly Tree[]): FileCheck | 'not a database' {
  const file = new SummarizedFile();
  const blocks = Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, n) => ({
    id: `${n}`,
    from: n * blockSize,
    to: Math.min(bytes.length, (n + 1) * blockSize),
  }));
  for (const { index, block } of file.missing(blocks)) {
    if (!file.add(index, block, bytes.subarray(block.from, block.to))) return 'not a database';
  }
  const loaded = SummarizedFile.load(Buffer.from(file.save()));
  return checkTrees(loaded.header!, loaded.pages(), trees, bytes.length);
}

function withFile<T>(bytes: Uint8Array | undefined, work: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'check-'));
  const path = join(folder, 'test.db');
  try {
    if (bytes !== undefined) writeFileSync(path, bytes);
    return work(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
