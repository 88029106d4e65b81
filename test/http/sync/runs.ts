import type { TableReport } from '../../../src/sync/documents/report.ts';
import type { RunStatus } from '../../../src/sync/run/run-status.ts';

const figures = { rowsRead: 1234, pages: 1, requests: 1, retries: 0, bytes: 5678, seconds: 0.5 };

/** The report of a table that was merged without errors. */
export function entityReport(more: Partial<TableReport> = {}): TableReport {
  return {
    ...{ name: 'account', strategy: 'delta', state: 'merged', ...figures },
    ...{ added: 34, updated: 1200, deleted: 7, unchanged: 99 },
    ...more,
  };
}

/** A finished run of one table. */
export function runStatus(more: Partial<RunStatus> = {}): RunStatus {
  const entities = more.entities ?? [entityReport()];
  return {
    runId: '20261121T030000-abcd',
    trigger: 'timer',
    startedAt: '2026-11-21T03:00:00.000Z',
    finishedAt: '2026-11-21T03:00:02.500Z',
    phase: 'complete',
    rounds: 1,
    entities,
    totals: { ...figures, added: 34, updated: 1200, deleted: 7, unchanged: 99, failed: 0 },
    seconds: 2.5,
    ...more,
  };
}
