import type { TableReport } from '../../sync/documents/report.ts';
import type { RunStatus } from '../../sync/run/run-status.ts';
import { formatBytes, formatSeconds, plural } from './format.ts';

/** The result of a run, as lines for a person: totals first, then what went wrong and what to do about it. */
export function reportLines(status: RunStatus): string[] {
  const { totals, entities, phase } = status;
  const read = `${plural(totals.rowsRead, 'row')} read in ${plural(totals.requests, 'request')}, ${formatBytes(totals.bytes)}`;
  const changes =
    `${plural(totals.added, 'row')} added, ${totals.updated.toLocaleString('en-US')} updated, ` +
    `${totals.deleted.toLocaleString('en-US')} deleted, ${totals.unchanged.toLocaleString('en-US')} unchanged`;
  const lines = [
    `Sync ${phase} in ${formatSeconds(status.seconds)}: ${plural(entities.length, 'table')}, ${read}`,
  ];
  lines.push(`  ${changes}`);
  if (status.database !== undefined) {
    const { stagedBlocks, stagedBytes } = status.database;
    lines.push(`  ${plural(stagedBlocks, 'block')} of the database written (${formatBytes(stagedBytes)})`);
  }
  if (status.error !== undefined) lines.push(...faultLines('The run failed', status));
  for (const entity of entities) {
    if (entity.error !== undefined) lines.push(...faultLines(`${entity.name} ${entity.state}`, entity));
  }
  return lines;
}

function faultLines(subject: string, { error, hint }: { error?: string; hint?: string }): string[] {
  return [`  ${subject}: ${error}`, ...(hint === undefined ? [] : [`    → ${hint}`])];
}

/** The one line of `--json`; its fields are a contract for scripts. */
export function reportJson(status: RunStatus, database: { file: string; bytes: number }): string {
  const { runId, phase, totals, seconds, error, hint } = status;
  const { requests, bytes } = totals;
  return JSON.stringify({
    runId,
    phase,
    ...(error !== undefined && { error }),
    ...(hint !== undefined && { hint }),
    entities: status.entities.map(entityJson),
    totals,
    seconds,
    requests,
    bytes,
    database: {
      file: database.file,
      bytes: status.database?.bytes ?? database.bytes,
      stagedBlocks: status.database?.stagedBlocks ?? 0,
      stagedBytes: status.database?.stagedBytes ?? 0,
    },
  });
}

function entityJson(entity: TableReport) {
  const { name, strategy, state, rowsRead, added, updated, deleted, unchanged, seconds, requests, bytes } =
    entity;
  const { error, hint } = entity;
  return {
    ...{ name, strategy, state, rowsRead, added, updated, deleted, unchanged, seconds, requests, bytes },
    ...(error !== undefined && { error }),
    ...(hint !== undefined && { hint }),
  };
}
