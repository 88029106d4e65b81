import { z } from 'zod';
import { hasFailed, type TableReport } from '../documents/report.ts';
import type { RunDocument } from '../documents/run.ts';
import { addFigures } from '../documents/slice.ts';

/** What a run did to one table; only of tables that changed, failed or were read again. Figures that are 0 are absent. */
export interface TableLine {
  added?: number;
  updated?: number;
  deleted?: number;
  /** Rows in the table after the run. */
  rows?: number;
  /** Rows whose deletes were held back. */
  heldBack?: number;
  /** Why all rows were read again. */
  reread?: string;
  error?: string;
}

/** One run in the history: one line of JSON. Figures that are 0 are absent. */
export interface HistoryLine {
  runId: string;
  /** What started it, as `trigger` of its report. */
  trigger: string;
  /** Logical names of the tables that were asked for, of a run of some tables. */
  only?: string[];
  phase: 'complete' | 'failed' | 'abandoned';
  /** ISO 8601, UTC. */
  startedAt: string;
  finishedAt: string;
  error?: string;
  /** How many tables the run read, and in how many of them something failed. */
  tables?: number;
  failed?: number;
  rowsRead?: number;
  added?: number;
  updated?: number;
  deleted?: number;
  requests?: number;
  retries?: number;
  throttled?: number;
  waitedSeconds?: number;
  /** Bytes from Dataverse, as they were transferred. */
  wireBytes?: number;
  /** Bytes that the commits of the run uploaded. */
  stagedBytes?: number;
  /** Of all databases after the run. */
  databaseBytes?: number;
  /** Rows in the mirror after the run. */
  rows?: number;
  /** Seconds from the last read of the table that is furthest behind to the end of the run. */
  ageSeconds?: number;
  danglingReferences?: number;
  /** By logical name. */
  changed?: Record<string, TableLine>;
}

/** Texts are cut: the report of the run has them whole, as long as it is kept. */
const longestText = 300;
/** So that one run of very many tables does not make the history of a month large. */
const mostTables = 200;
/** A line is not longer, in bytes, so that a reader knows how much to read. Tables that failed are left out last. */
export const longestLine = 16_384;

/** The line of a run that is over, as text. */
export function historyText(run: RunDocument): string {
  for (let tables = mostTables; ; tables = Math.floor(tables / 2)) {
    const text = JSON.stringify(historyLine(run, tables));
    if (tables === 0 || Buffer.byteLength(text) <= longestLine) return text;
  }
}

/** @param tables how many tables it names at most */
export function historyLine(run: RunDocument, tables = mostTables): HistoryLine {
  const { runId, trigger, phase, startedAt, finishedAt, entities = [], quality } = run;
  const read = addFigures(entities);
  const sum = (name: 'added' | 'updated' | 'deleted'): number =>
    entities.reduce((total, table) => total + table[name], 0);
  const databases = Object.values(run.databases ?? {});
  const figures = {
    tables: entities.length,
    failed: entities.filter(hasFailed).length,
    rowsRead: read.rowsRead,
    added: sum('added'),
    updated: sum('updated'),
    deleted: sum('deleted'),
    requests: read.requests,
    retries: read.retries,
    throttled: read.throttled,
    waitedSeconds: read.waitedSeconds,
    wireBytes: read.wireBytes,
    stagedBytes: run.database?.stagedBytes,
    databaseBytes:
      databases.length > 0 ? databases.reduce((total, { bytes }) => total + bytes, 0) : run.databaseBytes,
    rows: quality?.rows,
    ageSeconds: quality?.ageSeconds,
    danglingReferences: run.danglingReferences,
  };
  const changed = entities.filter(isNews).sort((a, b) => Number(hasFailed(b)) - Number(hasFailed(a)));
  return {
    ...{ runId, trigger, startedAt },
    ...(run.tables !== undefined && { only: run.tables.slice(0, tables) }),
    phase: phase as HistoryLine['phase'],
    finishedAt: finishedAt ?? startedAt,
    ...(run.error !== undefined && { error: run.error.slice(0, longestText) }),
    ...withoutZeros(figures),
    ...(changed.length > 0 &&
      tables > 0 && {
        changed: Object.fromEntries(changed.slice(0, tables).map((table) => [table.name, tableLine(table)])),
      }),
  };
}

function isNews({ added, updated, deleted, error, reread }: TableReport): boolean {
  return added + updated + deleted > 0 || error !== undefined || reread !== undefined;
}

function tableLine(table: TableReport): TableLine {
  const { added, updated, deleted, rows, heldBack, reread, error } = table;
  return {
    ...withoutZeros({ added, updated, deleted, heldBack }),
    // An empty table is news.
    ...(rows !== undefined && { rows }),
    ...(reread !== undefined && { reread: reread.slice(0, longestText) }),
    ...(error !== undefined && { error: error.slice(0, longestText) }),
  };
}

function withoutZeros<T extends Record<string, number | undefined>>(
  figures: T,
): Partial<Record<keyof T, number>> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value)) as never;
}

const figure = z.number().optional();
const tableShape = z.looseObject({
  ...{ added: figure, updated: figure, deleted: figure, rows: figure, heldBack: figure },
  ...{ reread: z.string().optional(), error: z.string().optional() },
});
const time = z.string().refine((value) => !Number.isNaN(Date.parse(value)));
const lineShape = z.looseObject({
  runId: z.string().regex(/^[\w-]{1,64}$/),
  trigger: z.string(),
  only: z.array(z.string()).optional(),
  // A later version may have other phases and causes.
  phase: z.string(),
  startedAt: time,
  finishedAt: time,
  error: z.string().optional(),
  ...{ tables: figure, failed: figure, rowsRead: figure, added: figure, updated: figure, deleted: figure },
  ...{ requests: figure, retries: figure, throttled: figure, waitedSeconds: figure, wireBytes: figure },
  ...{ stagedBytes: figure, databaseBytes: figure, rows: figure, ageSeconds: figure },
  danglingReferences: figure,
  changed: z.record(z.string(), tableShape).optional(),
});

/** Whether the run did not complete, or something failed in one of its tables. */
export function hasFault({ phase, failed = 0 }: Pick<HistoryLine, 'phase' | 'failed'>): boolean {
  return phase !== 'complete' || failed > 0;
}

/** The line that a text is; undefined for a text that is none, such as one that was cut. */
export function parseHistoryLine(text: string): HistoryLine | undefined {
  try {
    const parsed = lineShape.safeParse(JSON.parse(text));
    return parsed.success ? (parsed.data as HistoryLine) : undefined;
  } catch {
    return undefined;
  }
}
