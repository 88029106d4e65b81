import { describeFailure, describeForLog, SyncError } from '../../../errors.ts';
import { type Html, html } from '../../pages/html.ts';
import { time } from '../../pages/page-format.ts';
import { type PageContext, type PageEnvironment, readRecent } from '../pages/page-context.ts';
import { mirrorTitle } from './mirror-title.ts';
import { dataTable } from './run-tables.ts';

interface Line {
  name: string | undefined;
  host: string;
  state: string;
  isBad: boolean;
  ended: string | undefined;
}

/** How long a page waits for what another environment says, in milliseconds. */
const patience = 2000;

/** A read that has not ended. The next page waits for the same one, so that they do not pile up. */
interface Pending {
  line: Promise<Line>;
  since: Date;
}

const pending = new WeakMap<PageEnvironment, Pending>();

/** A read as old as this, in milliseconds, may never end: a lost connection says nothing. The next page reads anew. */
const abandoned = 60_000;

/**
 * How the mirrors of the other environments are. One that cannot be read, or whose storage does not answer, says so in its
 * line, and does not keep the page from showing the rest.
 */
export async function environmentsTable(context: PageContext): Promise<Html | undefined> {
  const { others, links } = context;
  if (others.length === 0) return undefined;
  const lines = await Promise.all(others.map((one) => lineInTime(one, context)));
  return html`<h2>Other environments</h2>
${dataTable(
  'The mirrors of the other environments',
  [
    {
      name: 'Environment',
      cell: ({ name }: Line) => html`<a href="${links.environment(name)}">${name ?? 'default'}</a>`,
    },
    { name: 'Dataverse', cell: ({ host }) => host },
    {
      name: 'State',
      cell: ({ state, isBad }) => html`<span class="${isBad ? 'bad' : 'good'}">${state}</span>`,
    },
    { name: 'Last sync ended', cell: ({ ended }) => ended && time(ended) },
  ],
  lines,
)}`;
}

async function lineInTime(other: PageEnvironment, context: PageContext): Promise<Line> {
  let read = pending.get(other);
  if (read === undefined || context.now.getTime() - read.since.getTime() > abandoned) {
    const started: Pending = { line: lineOf(other, context), since: context.now };
    const forget = () => pending.get(other) === started && pending.delete(other);
    started.line = started.line.finally(forget);
    pending.set(other, started);
    read = started;
  }
  const { promise: late, resolve } = Promise.withResolvers<Line>();
  const { name } = other;
  const noAnswer = { name, host: '', state: 'It does not answer', isBad: true, ended: undefined };
  const timer = setTimeout(resolve, patience, noAnswer);
  try {
    return await Promise.race([read.line, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function lineOf(
  { name, services: open }: PageEnvironment,
  { now, services: own }: PageContext,
): Promise<Line> {
  try {
    const services = await open();
    const recent = await readRecent({ services, now });
    const { title, isBad } = mirrorTitle(recent, now);
    const { host } = new URL(services.settings.dataverse.url);
    return { name, host, state: title, isBad, ended: recent.last?.finishedAt };
  } catch (error) {
    own.telemetry.log(
      error instanceof SyncError ? 'warn' : 'error',
      `The environment ${name ?? 'default'} cannot be shown: ${describeForLog(error)}`,
    );
    const { error: message } = describeFailure(error, name ?? 'default');
    return { name, host: '', state: message, isBad: true, ended: undefined };
  }
}
