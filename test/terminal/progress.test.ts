import { expect, test } from 'vitest';
import type { TableReport } from '../../src/sync/documents/report.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { createProgress } from '../../src/terminal/progress.ts';
import { reportJson, reportLines } from '../../src/terminal/run-report.ts';

const nothing = { rowsRead: 0, pages: 0, requests: 0, retries: 0, bytes: 0, seconds: 0 };
const unchanged = { added: 0, updated: 0, deleted: 0, unchanged: 0 };

function table(name: string, state: TableReport['state'], more: Partial<TableReport> = {}): TableReport {
  return { ...nothing, ...unchanged, name, strategy: 'delta', state, ...more };
}

function status(phase: RunStatus['phase'], tables: TableReport[]): RunStatus {
  return {
    runId: 'run',
    trigger: 'http',
    startedAt: '2026-11-21T00:00:00Z',
    phase,
    rounds: 1,
    entities: tables,
    totals: { ...nothing, ...unchanged, rowsRead: 12_345, bytes: 2_500_000, added: 12_000, failed: 0 },
    seconds: 2.5,
  };
}

const ESCAPE = '\u001B';
const TOKENS = new RegExp(`${ESCAPE}\\[(\\d*)[AK]|\\n|[^${ESCAPE}\\n]+`, 'g');

/** The content of a terminal: interprets line feeds, "cursor up" and "clear to the end of the line". */
class Screen {
  readonly isTTY = true;
  readonly columns = 100;
  readonly rows: number;
  readonly lines: string[] = [''];
  #row = 0;

  constructor(rows: number) {
    this.rows = rows;
  }

  write(text: string): void {
    let column = 0;
    for (const [token, lines] of text.matchAll(TOKENS)) {
      if (token === '\n') {
        this.#row++;
        column = 0;
        this.lines[this.#row] ??= '';
      } else if (token.endsWith('A') && token.startsWith(ESCAPE)) {
        this.#row -= Number(lines);
      } else if (token.startsWith(ESCAPE)) {
        this.lines[this.#row] = this.lines[this.#row]!.slice(0, column);
      } else {
        const line = this.lines[this.#row]!;
        this.lines[this.#row] = line.slice(0, column) + token + line.slice(column + token.length);
        column += token.length;
      }
    }
  }
}

test('a terminal shows each table on its own line, and permanent lines above', () => {
  const screen = new Screen(24);
  const progress = createProgress(screen);
  progress.show(
    status('fetching', [table('account', 'fetching', { rowsRead: 5000 }), table('contact', 'waiting')]),
  );
  progress.line('a warning');
  progress.show(
    status('merging', [
      table('account', 'fetched', { rowsRead: 12_345, seconds: 1.5 }),
      table('contact', 'failed', { error: 'refused' }),
    ]),
  );
  progress.end();
  progress.line('done');
  expect(screen.lines).toEqual([
    'a warning',
    expect.stringMatching(/^ {2}account +▓{20} +12,345 rows +8,230\/s {2}delta$/),
    expect.stringMatching(/^ {2}contact +╳{20} +0 rows +refused$/),
    '  merging · 12,345 rows · 2.5 MB · 2.5 s',
    'done',
    '',
  ]);
});

test('a terminal with few rows shows the active tables first', () => {
  const screen = new Screen(8);
  const tables = Array.from({ length: 20 }, (_, index) =>
    table(`table${index}`, index === 19 ? 'fetching' : 'waiting'),
  );
  createProgress(screen).show(status('fetching', tables));
  expect(screen.lines).toHaveLength(7);
  expect(screen.lines[0]).toContain('table19');
  expect(screen.lines[4]).toBe('  … and 16 more');
});

test('a file gets one line for each finished table', () => {
  let text = '';
  const progress = createProgress({ write: (part: string) => (text += part) });
  const read = table('account', 'fetched', { rowsRead: 3000, seconds: 1.5, bytes: 1_234_567 });
  progress.show(status('fetching', [table('account', 'fetching'), table('contact', 'waiting')]));
  progress.show(status('fetching', [read, table('contact', 'fetching')]));
  progress.show(status('merging', [read, table('contact', 'failed', { error: 'refused' })]));
  progress.show(
    status('complete', [{ ...read, state: 'merged' }, table('contact', 'failed', { error: 'refused' })]),
  );
  progress.end();
  expect(text.split('\n')).toEqual([
    'account: 3,000 rows in 1.5 s (2,000 rows/s), 1.2 MB, delta',
    'contact: refused',
    'Merging into the database …',
    '',
  ]);
});

test('the report shows totals, and each fault with its hint', () => {
  const run = status('complete', [
    table('account', 'merged'),
    table('lead', 'failed', { error: 'refused', hint: 'ask' }),
  ]);
  expect(reportLines(run)).toEqual([
    'Sync complete in 2.5 s: 2 tables, 12,345 rows read in 0 requests, 2.5 MB',
    '  12,000 rows added, 0 updated, 0 deleted, 0 unchanged',
    '  lead failed: refused',
    '    → ask',
  ]);
  const json = JSON.parse(reportJson(run, { file: 'f.db', bytes: 7 })) as Record<string, unknown>;
  expect(Object.keys(json)).toEqual([
    'runId',
    'phase',
    'entities',
    'totals',
    'seconds',
    'requests',
    'bytes',
    'database',
  ]);
  expect(json['database']).toEqual({ file: 'f.db', bytes: 7, stagedBlocks: 0, stagedBytes: 0 });
});
