import { safeLine } from '../safe-text.ts';
import type { Finding, Severity } from './compare.ts';

export interface ReportDetails {
  /** ISO 8601 in UTC. */
  generatedAt: string;
  /** The address of the Dataverse environment. */
  dataverse?: string;
  runId?: string;
}

/** The schema report: the stable JSON shape of `schema-report.json`. */
export interface SchemaReport extends ReportDetails {
  summary: Record<Severity, number>;
  findings: Finding[];
}

export function schemaReport(findings: readonly Finding[], details: ReportDetails): SchemaReport {
  const summary = { error: 0, warning: 0, info: 0 };
  for (const { severity } of findings) summary[severity]++;
  return { ...details, summary, findings: [...findings] };
}

const titles: Readonly<Record<Severity, string>> = {
  error: 'Errors',
  warning: 'Warnings',
  info: 'Information',
};

/** The same report for people: one table for each severity. */
export function reportMarkdown(findings: readonly Finding[], details: ReportDetails): string {
  const { summary } = schemaReport(findings, details);
  const { generatedAt, dataverse, runId } = details;
  const source = [dataverse && `for ${dataverse}`, runId && `by run ${runId}`].filter(Boolean);
  const lines = [
    '# Schema report',
    '',
    [`Generated ${generatedAt}`, ...source].join(' '),
    '',
    `${counted(summary.error, 'error')}, ${counted(summary.warning, 'warning')}, ${summary.info} for information.`,
  ];
  for (const [severity, title] of Object.entries(titles)) {
    const rows = findings.filter((finding) => finding.severity === severity);
    if (rows.length === 0) continue;
    lines.push('', `## ${title}`, '', '| Table | Column | What | Since | What to do |');
    lines.push('|---|---|---|---|---|');
    for (const { table, column = '', what, since = '', action } of rows) {
      lines.push(`| ${[table, column, what, since, action].map(cell).join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Text as the content of a cell: no name or message becomes a link, an element or another cell. */
function cell(text: string): string {
  return safeLine(text).replaceAll(/[\\|<>[\]`]/g, '\\$&');
}
