/**
 * The floor: the simplest program that copies the rows, without incremental sync, storage or restarts. It reads the
 * same pages over HTTP, parses them with `JSON.parse`, and inserts the rows with `node:sqlite` in one transaction.
 * Usage: floor.ts URL ENTITY_SET,…
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

const [url, sets] = process.argv.slice(2);
const headers = { authorization: 'Bearer bench', prefer: 'odata.maxpagesize=5000' };
const began = performance.now();
const db = new DatabaseSync(':memory:');
let rows = 0;
let bytes = 0;
let requests = 0;
db.exec('BEGIN');
await Promise.all(sets!.split(',').map(load));
db.exec('COMMIT');
console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, rows, bytes, requests }));

async function load(set: string): Promise<void> {
  let link: string | undefined = `${url}/api/data/v9.2/${set}`;
  let columns: string[] = [];
  let insert: StatementSync | undefined;
  while (link !== undefined) {
    const response: Response = await fetch(link, { headers });
    const body = Buffer.from(await response.arrayBuffer());
    requests += 1;
    bytes += body.length;
    const page = JSON.parse(body.toString()) as {
      value: Record<string, unknown>[];
      '@odata.nextLink'?: string;
    };
    for (const row of page.value) {
      if (insert === undefined) {
        columns = Object.keys(row).filter((name) => !name.includes('@'));
        const key = columns[0]!;
        db.exec(
          `CREATE TABLE "${set}" (${columns.map((name) => `"${name}"${name === key ? ' TEXT PRIMARY KEY' : ''}`)})`,
        );
        insert = db.prepare(`INSERT INTO "${set}" VALUES (${columns.map(() => '?')})`);
      }
      insert.run(...columns.map((name) => plain(row[name])));
      rows += 1;
    }
    link = page['@odata.nextLink'];
  }
}

function plain(value: unknown): SQLInputValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'object' ? JSON.stringify(value) : (value as string | number);
}
