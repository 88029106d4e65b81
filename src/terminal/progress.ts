import { printable } from '../safe-text.ts';
import type { TableReport } from '../sync/documents/report.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { formatBytes, formatCount, formatSeconds, plural } from './format.ts';

/** Shows the progress of a run, then of the next. */
export interface Progress {
  show(status: RunStatus): void;
  /** Writes a permanent line, above the lines that are repainted. */
  line(text: string): void;
  /** The run is over: leaves the last painted lines as they are. */
  end(): void;
}

/** Where progress is written: `process.stdout` or `process.stderr`. */
export interface Terminal {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export function createProgress(terminal: Terminal): Progress {
  return terminal.isTTY ? new PaintedProgress(terminal) : new PrintedProgress(terminal);
}

/** `--quiet`: writes permanent lines only. */
export class NoProgress implements Progress {
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(_status: RunStatus): void {}

  line(text: string): void {
    this.#terminal.write(`${printable(text)}\n`);
  }

  end(): void {}
}

/** For a file or a pipe: one line for each table that was read. */
class PrintedProgress extends NoProgress {
  readonly #printed = new Set<string>();
  #phase = '';

  override show({ entities: tables, phase }: RunStatus): void {
    for (const table of tables) {
      if (table.state === 'waiting' || table.state === 'fetching' || this.#printed.has(table.name)) continue;
      this.#printed.add(table.name);
      this.line(finishedLine(table));
    }
    if (phase === 'merging' && this.#phase !== 'merging') this.line('Merging into the database …');
    this.#phase = phase;
  }

  override end(): void {
    this.#printed.clear();
    this.#phase = '';
  }
}

function finishedLine({ name, state, error, rowsRead, seconds, bytes, strategy }: TableReport): string {
  if (state === 'failed') return `${name}: ${error ?? 'failed'}`;
  const rate = rowsRead > 0 && seconds > 0 ? ` (${formatCount(rowsRead / seconds)} rows/s)` : '';
  const read = `${plural(rowsRead, 'row')} in ${formatSeconds(seconds)}${rate}`;
  return `${name}: ${read}, ${formatBytes(bytes)}, ${strategy}`;
}

const BAR = 20;
/** Escape sequences (ECMA-48): clear to the end of the line, and move the cursor up. */
const CLEAR = '\u001B[K';
const up = (lines: number) => (lines > 0 ? `\u001B[${lines}A` : '');

/**
 * For a terminal: one line per table, repainted in place. The number of rows to come is unknown, so the bar of a
 * table that is being read shows movement, not a share.
 */
class PaintedProgress implements Progress {
  readonly #terminal: Terminal;
  /** When each table was first seen fetching, in milliseconds. */
  readonly #startedAt = new Map<string, number>();
  #painted: string[] = [];
  #frame = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(status: RunStatus): void {
    this.#frame++;
    this.#paint(this.#linesOf(status));
  }

  line(text: string): void {
    const painted = this.#painted;
    this.#paint([]);
    this.#terminal.write(`${printable(text)}${CLEAR}\n`);
    this.#paint(painted);
  }

  end(): void {
    this.#painted = [];
    this.#startedAt.clear();
  }

  #linesOf({ entities: tables, totals, phase, seconds }: RunStatus): string[] {
    const width = Math.max(8, ...tables.map(({ name }) => name.length));
    const space = Math.max(4, (this.#terminal.rows ?? 24) - 3);
    // If not all tables fit, show the active ones first.
    const order = ['fetching', 'failed', 'fetched', 'merged', 'waiting'];
    const shown =
      tables.length <= space
        ? tables
        : tables.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, space - 1);
    const lines = shown.map((table) => this.#tableLine(table, width));
    const hidden = tables.length - shown.length;
    if (hidden > 0) lines.push(`  … and ${hidden} more`);
    const read = `${plural(totals.rowsRead, 'row')} · ${formatBytes(totals.bytes)}`;
    lines.push(`  ${phase} · ${read} · ${formatSeconds(seconds)}`);
    const columns = (this.#terminal.columns ?? 80) - 1;
    return lines.map((line) => printable(line).slice(0, columns));
  }

  #tableLine(table: TableReport, width: number): string {
    const { name, state, strategy, rowsRead } = table;
    let seconds = table.seconds;
    if (state === 'fetching') {
      const startedAt = this.#startedAt.get(name) ?? performance.now();
      this.#startedAt.set(name, startedAt);
      seconds = Math.max(seconds, (performance.now() - startedAt) / 1000);
    }
    const speed = rowsRead > 0 && seconds > 0 ? `${formatCount(rowsRead / seconds)}/s` : '';
    const rows = state === 'waiting' ? 'waiting' : `${formatCount(rowsRead)} rows`;
    const tail = state === 'failed' ? (table.error ?? 'failed') : strategy;
    return `  ${name.padEnd(width)} ${this.#bar(state)} ${rows.padStart(14)} ${speed.padStart(12)}  ${tail}`;
  }

  #bar(state: TableReport['state']): string {
    if (state === 'failed') return '╳'.repeat(BAR);
    if (state === 'merged') return '█'.repeat(BAR);
    if (state === 'fetched') return '▓'.repeat(BAR);
    if (state === 'waiting') return '░'.repeat(BAR);
    const start = this.#frame % BAR;
    return Array.from({ length: BAR }, (_, at) => ((at - start + BAR) % BAR < 5 ? '▓' : '░')).join('');
  }

  #paint(lines: string[]): void {
    const blank = Math.max(0, this.#painted.length - lines.length);
    const text = [...lines, ...Array<string>(blank).fill('')].map((line) => `${line}${CLEAR}\n`).join('');
    this.#terminal.write(`${up(this.#painted.length)}${text}${up(blank)}`);
    this.#painted = lines;
  }
}
