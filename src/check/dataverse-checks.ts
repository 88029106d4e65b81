import type { TableConfig } from '../config/entities.ts';
import { defaultMetricsTable } from '../config/metrics-settings.ts';
import type { DataverseClient } from '../dataverse/client.ts';
import { isGuid } from '../dataverse/read/query.ts';
import { readObject } from '../dataverse/transport/reply.ts';
import { MetadataApi } from '../metrics/provision/metadata-api.ts';
import { type Check, clockFinding, type Finding, failed, type PendingCheck } from './check.ts';
import { generalPrivileges, metricsVerbs, readTableRights, type TableRights } from './table-privileges.ts';

/** Whether Dataverse answers and accepts the app's identity, and what its clock says (learn.microsoft.com: WhoAmI function). */
export function dataverseCheck(client: DataverseClient): PendingCheck {
  const name = 'dataverse';
  return {
    name,
    run: async (signal) => {
      const began = Date.now();
      const reply = await client.request({ operation: 'ask who the app is', url: 'WhoAmI()', signal });
      const ids = readObject(reply);
      const [user, organization] = [String(ids['UserId']), String(ids['OrganizationId'])];
      if (!isGuid(user) || !isGuid(organization)) {
        const hint = 'Check what answers instead of Dataverse: a proxy, or another service.';
        return { ok: false, detail: `${client.origin} does not say which user the app is.`, hint };
      }
      const detail = `${client.origin} accepts the app as the user ${user} of the organisation ${organization}.`;
      const checks: Check[] = [{ name, ok: true, detail }];
      if (reply.requestedAt !== undefined)
        checks.push({ name: 'clock: dataverse', ...clockFinding('Dataverse', began, reply.requestedAt) });
      return checks;
    },
  };
}

/**
 * Whether the app's user may read the definitions and every table for the whole organisation, and write campaign metrics.
 * One check a table.
 * @param metricsTable logical name of the table of campaign metrics; undefined: none is written
 */
export function privilegesCheck(
  client: DataverseClient,
  tables: readonly TableConfig[],
  metricsTable: string | undefined,
): PendingCheck {
  return {
    name: 'privileges',
    run: async (signal) => {
      const { userId, held } = await new MetadataApi(client).readPrivileges();
      const findingOf = (names: readonly string[], detail: string): Finding => {
        const lacking = names.filter((name) => held.get(name.toLowerCase()) !== 'Global');
        if (lacking.length === 0) return { ok: true, detail };
        return {
          ok: false,
          detail: `The user ${userId} lacks ${lacking.join(', ')} at organisation level.`,
          hint: 'Grant it in a security role of the application user. npm run role makes one with all privileges.',
        };
      };
      const checks = await Promise.all([
        ...tables.map(async (config) => {
          const find = (rights: TableRights): Finding => {
            const read = rights.privileges.get('Read');
            const detail = read ? 'All rows can be read' : 'It has no privileges of its own';
            return withTracking(rights, config, findingOf(read ? [read.name] : [], detail));
          };
          const absent = noTable(config.name, metricsTable);
          const finding = await tableFinding(client, config.name, signal, find, absent);
          return { name: `table ${config.name}`, ...finding };
        }),
        ...(metricsTable === undefined
          ? []
          : [
              tableFinding(
                client,
                metricsTable,
                signal,
                ({ privileges }) => {
                  const names = metricsVerbs.map(
                    (verb) => privileges.get(verb)?.name ?? `prv${verb}${metricsTable}`,
                  );
                  return findingOf(names, 'Campaign metrics can be created, read and written.');
                },
                noMetricsTable(metricsTable),
              ).then((finding) => ({ name: `campaign metrics in ${metricsTable}`, ...finding })),
            ]),
      ]);
      const definitions = findingOf(generalPrivileges, 'Definitions of tables and columns can be read.');
      return [{ name: 'privileges', ...definitions }, ...checks];
    },
  };
}

function noTable(table: string, metricsTable: string | undefined): Finding {
  const hint =
    table === metricsTable
      ? 'Remove it from entities.json if you do not use campaign metrics. If you do, run npm run provision.'
      : 'Correct the logical name in entities.json.';
  return { ok: false, detail: `Dataverse has no table ${table}.`, hint };
}

/**
 * Not every app uses campaign metrics, so the table of the default name may be absent. Who names another one in
 * METRICS_TABLE uses it.
 */
export function noMetricsTable(table: string): Finding {
  const detail = `Dataverse has no table ${table}`;
  if (table !== defaultMetricsTable) {
    return {
      ok: false,
      detail: `${detail}, which METRICS_TABLE names.`,
      hint: 'Run npm run provision, which creates it, or correct the setting.',
    };
  }
  return {
    ok: true,
    detail: `${detail}, so campaign metrics are not accepted.`,
    hint: 'If applications are to post campaign metrics, run npm run provision, then npm run role. Otherwise nothing is to be done.',
  };
}

/** An error of one table must not hide the others. */
async function tableFinding(
  client: DataverseClient,
  table: string,
  signal: AbortSignal,
  find: (rights: TableRights) => Finding,
  absent: Finding,
): Promise<Finding> {
  try {
    const rights = await readTableRights(client, table, signal);
    return rights === undefined ? absent : find(rights);
  } catch (error) {
    return failed(error);
  }
}

/** Adds how changes of the table are found. A table without change tracking is mirrored as well, at a higher cost. */
function withTracking(rights: TableRights, config: TableConfig, finding: Finding): Finding {
  if (!finding.ok) return finding;
  if (config.filtered) return { ...finding, detail: `${finding.detail}; only referenced rows are mirrored.` };
  if (config.strategy !== undefined && config.strategy !== 'delta') {
    return {
      ...finding,
      detail: `${finding.detail}; changes are found by ${config.strategy}, as configured.`,
    };
  }
  if (rights.changeTracking)
    return { ...finding, detail: `${finding.detail}; changes are found by delta: change tracking is on.` };
  return {
    ...finding,
    detail: `${finding.detail}; change tracking is off, so changes are found by modifiedon, or by full reads where the table has no such column.`,
    hint: 'Turn on "Track changes" for the table in Power Apps. It finds changes at the least cost, and deletes at once.',
  };
}
