import type { TableReport } from '../../sync/documents/report.ts';
import type { RunStatus } from '../../sync/run/run-status.ts';
import { formatBytes, formatCount, formatSeconds, plural } from './format.ts';

/** Shows a run to a person who waits for it. */
export interface Progress {
  show(status: RunStatus): void;
  /** Writes a line for good, above what is repainted. */
  line(text: string): void;
  /** Leaves the last picture standing. */
  end(): void;
}

/** What progress is written to: `process.stdout` or `process.stderr`. */
export interface Terminal {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export function createProgress(terminal: Terminal): Progress {
  return terminal.isTTY ? new PaintedProgress(terminal) : new PrintedProgress(terminal);
}

/** `--quiet`: lines that are written for good are still written. */
export class NoProgress implements Progress {
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(): void {}

  line(text: string): void {
    this.#terminal.write(`${text}\n`);
  }

  end(): void {}
}

/** Where output goes to a file or a pipe: one line for each entity that is read. */
class PrintedProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #printed = new Set<string>();
  #phase = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(status: RunStatus): void {
    for (const entity of status.entities) {
      if (entity.state === 'waiting' || entity.state === 'fetching' || this.#printed.has(entity.name))
        continue;
      this.#printed.add(entity.name);
      this.line(finishedLine(entity));
    }
    if (status.phase === 'merging' && this.#phase !== 'merging') this.line('Merging into the database …');
    this.#phase = status.phase;
  }

  line(text: string): void {
    this.#terminal.write(`${text}\n`);
  }

  end(): void {}
}

function finishedLine(entity: TableReport): string {
  if (entity.state === 'failed') return `${entity.name}: ${entity.error ?? 'failed'}`;
  return (
    `${entity.name}: ${plural(entity.rowsRead, 'row')} in ${formatSeconds(entity.seconds)}` +
    `${rate(entity.rowsRead, entity.seconds)}, ${formatBytes(entity.bytes)}, ${entity.strategy}`
  );
}

function rate(rows: number, seconds: number): string {
  return rows > 0 && seconds > 0 ? ` (${formatCount(rows / seconds)} rows/s)` : '';
}

const BAR = 20;
/** Escape sequences (ECMA-48): to the line's end, and so many lines up. */
const CLEAR = '\u001B[K';
const up = (lines: number) => (lines > 0 ? `\u001B[${lines}A` : '');

/** A terminal: one line an entity, repainted in place. How many rows will come nobody knows, so a bar moves. */
class PaintedProgress implements Progress {
  readonly #terminal: Terminal;
  /** When an entity was first seen at work, in milliseconds. */
  readonly #begun = new Map<string, number>();
  #painted: string[] = [];
  #frame = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(status: RunStatus): void {
    this.#frame++;
    this.#paint(this.#picture(status));
  }

  line(text: string): void {
    const picture = this.#painted;
    this.#paint([]);
    this.#terminal.write(`${text}${CLEAR}\n`);
    this.#paint(picture);
  }

  end(): void {
    this.#painted = [];
  }

  #picture(status: RunStatus): string[] {
    const width = Math.max(8, ...status.entities.map(({ name }) => name.length));
    const space = Math.max(4, (this.#terminal.rows ?? 24) - 3);
    // Where not all fit, those at work come first: they are what moves.
    const order = ['fetching', 'failed', 'fetched', 'merged', 'waiting'];
    const shown =
      status.entities.length <= space
        ? status.entities
        : status.entities
            .toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state))
            .slice(0, space - 1);
    const lines = shown.map((entity) => this.#entityLine(entity, width));
    const left = status.entities.length - shown.length;
    if (left > 0) lines.push(`  … and ${left} more`);
    const { rowsRead, bytes } = status.totals;
    const seconds = formatSeconds(status.seconds);
    lines.push(`  ${status.phase} · ${plural(rowsRead, 'row')} · ${formatBytes(bytes)} · ${seconds}`);
    const columns = (this.#terminal.columns ?? 80) - 1;
    return lines.map((line) => line.slice(0, columns));
  }

  #entityLine(entity: TableReport, width: number): string {
    const { name, state, strategy, rowsRead } = entity;
    let seconds = entity.seconds;
    if (state === 'fetching') {
      const begun = this.#begun.get(name) ?? performance.now();
      this.#begun.set(name, begun);
      seconds = Math.max(seconds, (performance.now() - begun) / 1000);
    }
    const speed = rowsRead > 0 && seconds > 0 ? `${formatCount(rowsRead / seconds)}/s` : '';
    const rows = state === 'waiting' ? 'waiting' : `${formatCount(rowsRead)} rows`;
    const tail = state === 'failed' ? `  ${entity.error ?? 'failed'}` : `  ${strategy}`;
    return `  ${name.padEnd(width)} ${this.#bar(state)} ${rows.padStart(14)} ${speed.padStart(12)}${tail}`;
  }

  #bar(state: TableReport['state']): string {
    if (state === 'failed') return '╳'.repeat(BAR);
    if (state === 'merged') return '█'.repeat(BAR);
    if (state === 'fetched') return '▓'.repeat(BAR);
    if (state === 'waiting') return '░'.repeat(BAR);
    const at = this.#frame % BAR;
    return Array.from({ length: BAR }, (_, index) => ((index - at + BAR) % BAR < 5 ? '▓' : '░')).join('');
  }

  #paint(lines: string[]): void {
    const blank = Math.max(0, this.#painted.length - lines.length);
    const text = [...lines, ...Array<string>(blank).fill('')].map((line) => `${line}${CLEAR}\n`).join('');
    this.#terminal.write(`${up(this.#painted.length)}${text}${up(blank)}`);
    this.#painted = lines;
  }
}
