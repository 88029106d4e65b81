import { read } from '../../docs/pages.ts';

/** The shapes that docs/postgres-on-citus.md lists. What it says of a distributed table holds for a reference table, too. */
export function isDocumented(shape: string): boolean {
  return listed.has(shape) || listed.has(shape.replaceAll('reference', 'distributed'));
}

const rows = read('docs/postgres-on-citus.md')
  .split('\n')
  .filter((line) => line.startsWith('| `'));
const listed = new Set(
  rows.flatMap((row) => [...row.split(' | ')[0]!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!)),
);

/**
 * What statements do with tables that are on several nodes of a cluster, without names and values, such as
 * `INSERT INTO local SELECT FROM distributed IN SELECT FROM local`: so docs/postgres-on-citus.md can list them, and a test can
 * find one that it lacks.
 */
export class StatementShapes {
  readonly found = new Set<string>();
  readonly #schema: string;
  /** By the quoted name of a table. Views are where their tables are. */
  readonly #placements = new Map<string, string>();

  constructor(schema: string) {
    this.#schema = schema;
  }

  /** @param sql one statement, or several that are sent at once */
  add(sql: string): void {
    const [, change = '', name = ''] =
      /\.(create_reference|create_distributed|undistribute)_table\('"[^.]*\.("[^']*)'/.exec(sql) ?? [];
    if (change === 'undistribute') this.#placements.delete(name);
    else if (change !== '') this.#placements.set(name, change.replace('create_', ''));
    for (const one of sql.split(';\n')) {
      const shape = this.#shapeOf(one);
      if (shape !== undefined) this.found.add(shape);
      const [, dropped = ''] = /^DROP TABLE (?:IF EXISTS )?"[^.]*\.("[^"]*")/.exec(one) ?? [];
      this.#placements.delete(dropped);
    }
  }

  /** @returns undefined for a statement about local tables alone */
  #shapeOf(sql: string): string | undefined {
    const text = sql
      .replaceAll(/'(?:[^']|'')*'/g, "''")
      // What a view consists of depends on the columns.
      .replace(/(CREATE VIEW \S+) AS .*/s, '$1')
      .replaceAll(/\bDISTINCT (?:FROM|ON)\b|\bIF (?:NOT )?EXISTS\b/g, '');
    const tokens = [...text.matchAll(token)].map(([found]) =>
      found.includes('.') ? this.#placementOf(found) : found,
    );
    if (!tokens.includes('distributed') && !tokens.includes('reference') && !tokens.includes('view'))
      return undefined;
    // As many as a reference has targets.
    const shape = tokens
      .join(' ')
      .replaceAll(/(NOT EXISTS SELECT FROM \w+)(?: NOT EXISTS SELECT FROM \w+)+/g, '$1');
    if (!shape.startsWith('WITH MATERIALIZED')) return shape;
    // What is materialized comes from where it is.
    return shape
      .replaceAll(/\b(?:distributed|reference|local)\b/g, 'any')
      .replaceAll(/(MATERIALIZED SELECT FROM any IN SELECT FROM|NOT EXISTS SELECT FROM)(?: \1)+/g, '$1');
  }

  #placementOf(found: string): string {
    if (!found.startsWith(`"${this.#schema}".`)) return 'local';
    const name = found.slice(this.#schema.length + 3);
    if (/_(?:labelled|choice_values)"$/.test(name)) return 'view';
    return this.#placements.get(name) ?? 'local';
  }
}

const name = String.raw`(?:pg_temp|"(?:[^"]|"")*")\.(?:"(?:[^"]|"")*"|\w+)`;
const words = [
  ...[
    'WITH',
    'MATERIALIZED',
    'INSERT INTO',
    'DELETE FROM',
    'DO UPDATE',
    'UPDATE',
    'SELECT',
    'FROM',
    'LATERAL',
    'LEFT JOIN',
    'JOIN',
  ],
  ...['USING', 'NOT EXISTS', 'EXISTS', 'IN', 'ON CONFLICT', 'DO NOTHING', 'RETURNING', 'LIMIT', 'OFFSET'],
  ...[
    'CREATE TABLE',
    'CREATE TEMP TABLE',
    'CREATE INDEX',
    'CREATE VIEW',
    'DROP VIEW',
    'DROP TABLE',
    'DROP INDEX',
  ],
  ...[
    'ALTER TABLE',
    'ADD COLUMN',
    'ADD PRIMARY KEY',
    'DROP COLUMN',
    'DROP CONSTRAINT',
    'ALTER COLUMN',
    'RENAME',
  ],
  ...['COMMENT ON', 'GRANT', 'COPY', 'DECLARE', 'ANALYZE', 'LOCK TABLE', 'FOR UPDATE', 'TRUNCATE'],
];
const token = new RegExp(`(?<![\\w."])${name}|\\b(?:${words.join('|')})\\b`, 'g');
