import { withoutTrailing } from './without-trailing.ts';

const shape = /^(\d{4}-\d{2}-\d{2})t(\d{2}:\d{2}:\d{2})(?:\.(\d+))?(?:z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i;

/** The range of a Dataverse column; learn.microsoft.com: Behavior and format of the date and time column. */
const earliest = Date.UTC(1753, 0, 1);
const latest = Date.UTC(9999, 11, 31, 23, 59, 59);
/** Decimal places of a second that Dataverse keeps. */
const maxPlaces = 7;

/**
 * An RFC 3339 date-time in UTC: `2026-11-21T09:30:00+01:00` → `2026-11-21T08:30:00Z`. Keeps all decimal places but
 * trailing zeros. A fault is the end of a sentence.
 */
export function toUtc(text: string): { utc: string } | { fault: string } {
  const found = shape.exec(text);
  if (found === null) return { fault: 'must be an RFC 3339 date-time such as 2026-11-21T09:30:00Z' };
  const [, date, time, places = '', sign, hours = '0', minutes = '0'] = found;
  const fraction = withoutTrailing(places, '0');
  if (fraction.length > maxPlaces)
    return { fault: `has more than ${maxPlaces} decimal places in its seconds` };
  if (time!.endsWith(':60')) return { fault: 'is a leap second, which Dataverse cannot store' };
  const local = Date.parse(`${date}T${time}Z`);
  // Date.parse takes 30 February for 2 March, and 24:00 for the next day.
  if (Number.isNaN(local) || secondsOf(local) !== `${date}T${time}`) return { fault: 'does not exist' };
  const utc = local - Number(`${sign ?? ''}1`) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  if (utc < earliest || utc > latest) return { fault: 'must be between 1753-01-01 and 9999-12-31' };
  return { utc: `${secondsOf(utc)}${fraction === '' ? '' : `.${fraction}`}Z` };
}

/** `2026-11-21T08:30:00` */
const secondsOf = (time: number) => new Date(time).toISOString().slice(0, 19);
