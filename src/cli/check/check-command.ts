import { parseArgs } from 'node:util';
import { type Check, type PendingCheck, runChecks } from '../../check/check.ts';
import { dataverseCheck, privilegesCheck } from '../../check/dataverse-checks.ts';
import { firstSyncCheck } from '../../check/first-sync-check.ts';
import { createDataverseClient } from '../../dataverse/client.ts';
import { createCredential } from '../../dataverse/credential.ts';
import { printable } from '../../safe-text.ts';
import { createTelemetry } from '../../telemetry/telemetry.ts';
import { checkLines } from '../../terminal/check-report.ts';
import { settingsOf, tablesReader } from '../dataverse-options.ts';
import { forCommand } from '../hint-for-command.ts';

export const checkHelp = `Checks what a sync of these tables needs, and changes nothing: sign-in, clock, privileges by name, change tracking, and a
few rows of each table. Says how much a first sync reads.

  dataverse-sqlite-sync check --dataverse URL (--tables LIST | --entities FILE) [--json]

  --dataverse URL   the environment, such as https://contoso.crm.dynamics.com; or DATAVERSE_URL
  --tables LIST     logical names, separated by commas: account,contact
  --entities FILE   tables with options: see docs/configuration.md
  --json            print the result as one line of JSON
  --help

Sign-in as for sync. Exit status: 0 all checks passed; 1 a check failed; 2 wrong options.`;

/** For all checks together. The metadata of a large environment takes several seconds. */
const timeoutMilliseconds = 120_000;

/** `dataverse-sqlite-sync check`. @returns the exit status */
export async function check(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      dataverse: { type: 'string' },
      tables: { type: 'string' },
      entities: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const tables = tablesReader(values)();
  const { dataverse } = settingsOf(values.dataverse);
  const client = createDataverseClient({
    url: dataverse.url,
    credential: createCredential(dataverse.credential),
    maxConcurrency: dataverse.maxConcurrency,
    retry: { maxTries: 2 },
  });
  // What it would log is a finding.
  const telemetry = createTelemetry(
    () => () => undefined,
    () => undefined,
  );
  const { pageSize } = dataverse;
  const checks = await runInTurn([
    [dataverseCheck(client)],
    [privilegesCheck(client, tables, undefined), firstSyncCheck(client, tables, { pageSize, telemetry })],
  ]);
  const translate = (text: string) => forCommand(text, { tables: values.entities === undefined });
  const report = {
    ok: checks.every(({ ok }) => ok),
    checks: checks.map(({ detail, hint, ...rest }) => ({
      ...rest,
      detail: translate(detail),
      ...(hint !== undefined && { hint: translate(hint) }),
    })),
  };
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else for (const line of checkLines(report)) process.stdout.write(`${printable(line)}\n`);
  return report.ok ? 0 : 1;
}

/** Without access, every later check would fail for the same reason. */
async function runInTurn(groups: readonly PendingCheck[][]): Promise<Check[]> {
  const done: Check[] = [];
  for (const group of groups) {
    const found = await runChecks(group, timeoutMilliseconds);
    done.push(...found);
    if (found.some(({ ok, name }) => !ok && name === 'dataverse')) break;
  }
  return done;
}
