const shape =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:([Zz])|([+-])(\d{2}):(\d{2}))$/;

/** The earliest moment that a Dataverse column takes; learn.microsoft.com: Behavior and format of the date and time column. */
const earliest = Date.UTC(1753, 0, 1);
const latest = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Edm.DateTimeOffset has twelve places, Dataverse's own clock seven. */
const maxPlaces = 7;

/**
 * An RFC 3339 date-time in UTC: `2026-11-21T09:30:00+01:00` → `2026-11-21T08:30:00Z`.
 * Every digit of the fraction is kept; only trailing zeros go. Or says what is wrong, as a sentence's end.
 */
export function toUtc(text: string): { utc: string } | { fault: string } {
  const found = shape.exec(text);
  if (found === null) return { fault: 'must be an RFC 3339 date-time such as 2026-11-21T09:30:00Z' };
  const [, year, month, day, hour, minute, second] = found.map(Number) as number[];
  const fraction = (found[7] ?? '').replace(/0+$/, '');
  if (fraction.length > maxPlaces) return { fault: `has more than ${maxPlaces} places in its seconds` };
  if (second === 60) return { fault: 'names a leap second, which Dataverse cannot store' };
  const offsetHour = Number(found[10] ?? 0);
  const offsetMinute = Number(found[11] ?? 0);
  const local = new Date(0);
  local.setUTCFullYear(year!, month! - 1, day!);
  local.setUTCHours(hour!, minute!, second!);
  const real =
    local.getUTCMonth() === month! - 1 &&
    local.getUTCDate() === day &&
    hour! < 24 &&
    minute! < 60 &&
    second! < 60 &&
    offsetHour < 24 &&
    offsetMinute < 60;
  if (!real) return { fault: 'names a moment that does not exist' };
  const offset = (found[9] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute) * 60_000;
  const time = local.getTime() - offset;
  if (time < earliest || time > latest) return { fault: 'must lie between 1753-01-01 and 9999-12-31' };
  const seconds = new Date(time).toISOString().slice(0, 19);
  return { utc: fraction === '' ? `${seconds}Z` : `${seconds}.${fraction}Z` };
}
