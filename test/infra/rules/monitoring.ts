import { Ncrontab } from '../../../src/config/ncrontab.ts';
import { absentFrom, untypedIn } from '../../telemetry/queries.ts';
import type { DeployedResource } from '../bicep/references.ts';
import type { Value } from '../bicep/values.ts';
import { at, environmentsOf, expectProperties, type Planned, type Rule } from '../infrastructure.ts';
import { isSame, readSource } from './parts.ts';

/** The alerts on events, in order, with their severity: 1 if the mirror stops, 2 if a part does, 3 if it soon will. */
const severities: Record<string, number> = {
  'no-complete-run': 1,
  'mirror-stale': 2,
  'run-failed': 1,
  'table-failing': 2,
  'deletes-held-back': 2,
  'poison-messages': 2,
  'database-near-limit': 3,
  'database-damaged': 1,
  'metrics-delayed': 2,
  'metrics-rejected': 2,
};

const absence = 'no-complete-run';

/** Narrow runs send the same events, several in a minute. These alerts are about the runs of the timer. */
const ofFullRuns = [absence, 'table-failing', 'deletes-held-back'];

/** How far a rule can look back, in minutes: learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule */
const windows: Record<string, number> = {
  ...{ PT15M: 15, PT30M: 30, PT45M: 45, PT1H: 60, PT2H: 120, PT3H: 180, PT4H: 240, PT5H: 300, PT6H: 360 },
  ...{ P1D: 1440, P2D: 2880 },
};

export interface LogAlert {
  /** The section of the runbook that its description names. */
  section: string;
  query: string;
  resource: DeployedResource;
}

/** The alerts on events of a deployment. */
export function logAlertsOf(planned: Planned): LogAlert[] {
  return planned.all('Microsoft.Insights/scheduledQueryRules').map((resource) => {
    const [condition] = at(resource, 'properties.criteria.allOf') as unknown as [{ query: string }];
    const section = String(at(resource, 'properties.description')).split('#')[1] ?? '';
    return { section, query: condition.query.trim(), resource };
  });
}

const minutesOf = (resource: DeployedResource, property: string): number =>
  windows[String(at(resource, `properties.${property}`))] ?? Number.NaN;

const scheduleOf = ({ variant }: Planned): string =>
  String(variant.parameters['schedule'] ?? '0 */15 * * * *');

const pauses = new Map<string, number>();

/** The longest time between two starts in three weeks, in minutes. */
function longestPause(schedule: string): number {
  const pause = pauses.get(schedule) ?? measurePause(schedule);
  pauses.set(schedule, pause);
  return pause;
}

function measurePause(schedule: string): number {
  const ncrontab = new Ncrontab(schedule);
  const end = Date.UTC(2026, 0, 22);
  let longest = 0;
  for (let time = ncrontab.next(new Date(Date.UTC(2026, 0, 1)))!; time.getTime() < end; ) {
    const next = ncrontab.next(time)!;
    longest = Math.max(longest, next.getTime() - time.getTime());
    time = next;
  }
  return longest / 60_000;
}

/** The sections of the runbook that have an alert. Azure cannot look back far enough where a schedule leaves out days. */
export function sectionsOf(planned: Planned): string[] {
  return Object.keys(severities).filter((name) => name !== absence || watchedForAbsence(planned));
}

/** Whether there are alerts on runs that are absent. */
export const watchedForAbsence = (planned: Planned): boolean => longestPause(scheduleOf(planned)) <= 1440;

/** Where alerts go: nobody, or the one action group. */
const groupsOf = (planned: Planned): string[] =>
  planned.all('Microsoft.Insights/actionGroups').map(({ id }) => id);

export const monitoringRules: Record<string, Rule> = {
  'there is an alert for each section of the runbook, whether or not there is a receiver': (planned) => {
    const further = environmentsOf(planned.variant);
    const wanted = sectionsOf(planned).flatMap((section) =>
      section === absence ? [section, ...further.map(() => section)] : [section],
    );
    const alerts = logAlertsOf(planned);
    const insights = planned.one('Microsoft.Insights/components');
    const base = planned.variant.parameters['runbookUrl'] ?? 'docs/runbook.md';
    const found = alerts.map(({ section }) => section);
    return [
      ...(isSame(found, wanted) ? [] : [`There are alerts for ${found}`]),
      ...alerts.flatMap(({ section, resource }) => [
        ...expectProperties(resource, {
          kind: 'LogAlert',
          'properties.severity': severities[section],
          'properties.enabled': true,
          'properties.description': `${at(resource, 'properties.displayName')}. What to do: ${base}#${section}`,
          // Tables have their classic names in the scope of a component only.
          'properties.scopes': [insights.id],
          'properties.autoMitigate': true,
          'properties.skipQueryValidation': true,
          'properties.actions.actionGroups': groupsOf(planned),
        }),
        ...(readSource('docs/runbook.md').includes(`\n## ${section}\n`)
          ? []
          : [`The runbook has no section ${section}`]),
      ]),
    ];
  },

  'alerts ask for what the app sends, and look back far enough': (planned) => {
    const pause = longestPause(scheduleOf(planned));
    // Two starts at least: one that fails is no alert.
    const ofRuns = Math.min(2 * pause, 2880);
    return logAlertsOf(planned).flatMap(({ section, query, resource }) => {
      const [{ timeAggregation, operator, threshold }] = at(
        resource,
        'properties.criteria.allOf',
      ) as never as [{ timeAggregation: string; operator: string; threshold: number }];
      const isAbsence = section === absence;
      const condition = `${timeAggregation} ${operator} ${threshold}`;
      const window = minutesOf(resource, 'windowSize');
      const isLong = isAbsence || section === 'mirror-stale' || section === 'database-near-limit';
      const least = Math.max(2 * minutesOf(resource, 'evaluationFrequency'), isLong ? ofRuns : 0);
      return [
        ...absentFrom(query).map((one) => `${section}: the app does not send ${one}`),
        ...untypedIn(query).map((one) => `${section}: ${one} has no type`),
        ...(query.includes('isempty(tostring(customDimensions.tables))') === ofFullRuns.includes(section)
          ? []
          : [`${section}: narrow runs are counted, or left out by mistake`]),
        ...(condition === (isAbsence ? 'Count LessThan 1' : 'Count GreaterThan 0')
          ? []
          : [`${section}: the condition is ${condition}`]),
        ...(window >= least ? [] : [`${section} looks back ${window} minutes, not ${least}`]),
      ];
    });
  },

  'an environment that works hides no other that fails': (planned) => {
    const further = environmentsOf(planned.variant);
    const alerts = logAlertsOf(planned);
    // Nobody answers a question about rows that are not there: each environment has its own.
    const conditions =
      further.length === 0
        ? [undefined]
        : [
            'isempty(tostring(customDimensions.environment))',
            ...further.map((name) => `tostring(customDimensions.environment) == "${name}"`),
          ];
    const absences = alerts.filter(({ section }) => section === absence);
    return [
      ...absences.flatMap(({ query, resource }, i) => {
        const last = query.split('\n').at(-1)!.trim();
        const isOwn = conditions[i] === undefined || last === `| where ${conditions[i]}`;
        const names =
          i === 0 ? !/-run-/.test(resource.names[0]!) : resource.names[0]!.endsWith(further[i - 1]!);
        return isOwn && names ? [] : [`${resource.names[0]} asks for the runs of others`];
      }),
      ...alerts
        .filter(({ section }) => section !== absence)
        .flatMap(({ section, query, resource }) => {
          const [{ dimensions }] = at(resource, 'properties.criteria.allOf') as never as [
            { dimensions?: Value },
          ];
          const isSplit = isSame(dimensions, [{ name: 'environment', operator: 'Include', values: ['*'] }]);
          const keeps =
            query.includes(
              '| extend environment = coalesce(tostring(customDimensions.environment), "default")',
            ) &&
            (!query.includes('summarize') || /summarize [^|]* by environment,/.test(query));
          const isRight = further.length === 0 ? dimensions === undefined : isSplit && keeps;
          return isRight ? [] : [`${section} mixes environments`];
        }),
    ];
  },

  'the workbook is deployed, over the telemetry of the app': (planned, read) =>
    expectProperties(planned.one('Microsoft.Insights/workbooks'), {
      kind: 'shared',
      'properties.category': 'workbook',
      'properties.sourceId': planned.one('Microsoft.Insights/components').id,
      ...(environmentsOf(planned.variant).length === 0 && {
        'properties.serializedData': read('workbook.json'),
      }),
    }),

  'the workbook can show one environment, and is else the same': (planned, read) => {
    const further = environmentsOf(planned.variant);
    if (further.length === 0) return [];
    interface Workbook {
      items: { content: { query?: string; parameters?: { name: string; jsonData?: string }[] } }[];
    }
    const found = JSON.parse(
      String(at(planned.one('Microsoft.Insights/workbooks'), 'properties.serializedData')),
    ) as Workbook;
    const line = /^\| where "\{environment\}" == "\*" or .*"default"\) == "\{environment\}"\n/m;
    const without = structuredClone(found);
    for (const { content } of without.items) {
      if (content.query !== undefined) content.query = content.query.replace(line, '');
      content.parameters = content.parameters?.filter(({ name }) => name !== 'environment') as never;
    }
    const choices = found.items
      .flatMap(({ content }) => content.parameters ?? [])
      .flatMap(({ jsonData = '[]' }) => JSON.parse(jsonData) as { value: string }[]);
    return [
      ...found.items.flatMap(({ content: { query } }) =>
        query?.startsWith('custom') && !/^\w+\n\| where "\{environment\}"/.test(query)
          ? [`The workbook asks for all environments: ${query}`]
          : [],
      ),
      ...(JSON.stringify(without) === JSON.stringify(JSON.parse(read('workbook.json')))
        ? []
        : ['The workbook is another one']),
      ...(isSame(
        choices.map(({ value }) => value),
        ['*', 'default', ...further],
      )
        ? []
        : ['The workbook has a wrong list of environments']),
    ];
  },
};
