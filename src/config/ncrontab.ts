import { ConfigurationError } from '../errors.ts';

/** One field of the expression: its allowed values and their names. */
interface Field {
  name: string;
  min: number;
  max: number;
  names?: readonly string[];
}

const MONTHS = 'january february march april may june july august september october november december'.split(
  ' ',
);
const DAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');

const FIELDS: readonly Field[] = [
  { name: 'second', min: 0, max: 59 },
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 6, names: DAYS },
];

/** Long enough for a 29 February on a given weekday. */
const HORIZON_YEARS = 50;

/**
 * An NCRONTAB expression of a timer trigger: `{second} {minute} {hour} {day} {month} {day of week}`. With five fields
 * the second is 0. Day and day of week must both match. Times are UTC, as on Azure
 * (learn.microsoft.com: Timer trigger for Azure Functions, "NCRONTAB expressions"). An interval is accepted as well.
 */
export class Ncrontab {
  readonly #fields: readonly ReadonlySet<number>[] = [];
  /** Milliseconds, for an interval (`00:15:00`). */
  readonly #interval: number | undefined;

  /** @throws ConfigurationError that names the invalid field */
  constructor(expression: string) {
    this.#interval = intervalOf(expression);
    if (this.#interval !== undefined) return;
    const texts = expression.trim().split(/\s+/);
    if (texts.length === 5) texts.unshift('0');
    if (texts.length !== FIELDS.length) {
      throw new ConfigurationError(`"${expression}" is not an NCRONTAB expression: it needs six fields`, {
        object: expression,
        hint: 'Write {second} {minute} {hour} {day} {month} {day of week}, for example "0 */15 * * * *".',
      });
    }
    this.#fields = FIELDS.map((field, index) => parseField(texts[index]!, field, expression));
    if (this.next(new Date(Date.UTC(2000, 0, 1))) === undefined) {
      throw new ConfigurationError(`The schedule "${expression}" never matches`, { object: expression });
    }
  }

  /** The first matching time after `after`, or undefined if there is none within 50 years. */
  next(after: Date): Date | undefined {
    if (this.#interval !== undefined) return new Date(after.getTime() + this.#interval);
    const [seconds, minutes, hours, days, months, weekdays] = this.#fields as ReadonlySet<number>[];
    const time = new Date(Math.floor(after.getTime() / 1000) * 1000 + 1000);
    const horizon = time.getUTCFullYear() + HORIZON_YEARS;
    while (time.getUTCFullYear() <= horizon) {
      if (!months!.has(time.getUTCMonth() + 1)) {
        time.setUTCMonth(time.getUTCMonth() + 1, 1);
        time.setUTCHours(0, 0, 0);
      } else if (!days!.has(time.getUTCDate()) || !weekdays!.has(time.getUTCDay())) {
        time.setUTCDate(time.getUTCDate() + 1);
        time.setUTCHours(0, 0, 0);
      } else if (!hours!.has(time.getUTCHours())) {
        time.setUTCHours(time.getUTCHours() + 1, 0, 0);
      } else if (!minutes!.has(time.getUTCMinutes())) {
        time.setUTCMinutes(time.getUTCMinutes() + 1, 0);
      } else if (!seconds!.has(time.getUTCSeconds())) {
        time.setUTCSeconds(time.getUTCSeconds() + 1);
      } else {
        return time;
      }
    }
    return undefined;
  }
}

function parseField(text: string, field: Field, expression: string): ReadonlySet<number> {
  const values = new Set<number>();
  const fail = (part: string): never => {
    throw new ConfigurationError(`"${expression}": "${part}" is not a valid ${field.name}`, {
      object: expression,
      hint: `A ${field.name} is a number from ${field.min} to ${field.max}, a range (a-b), a list (a,b), * or */n.`,
    });
  };
  const value = (part: string): number => {
    const named =
      part.length >= 3 ? (field.names?.findIndex((n) => n.startsWith(part.toLowerCase())) ?? -1) : -1;
    const number = named >= 0 ? named + field.min : /^\d+$/.test(part) ? Number(part) : Number.NaN;
    return number >= field.min && number <= field.max ? number : fail(part);
  };
  for (const part of text.split(',')) {
    const [range = '', step, ...rest] = part.split('/');
    const [from = '', to, ...more] = range.split('-');
    if (rest.length > 0 || more.length > 0) fail(part);
    const every = step === undefined ? 1 : /^[1-9]\d*$/.test(step) ? Number(step) : fail(part);
    const first = range === '*' ? field.min : value(from);
    // `a/n` runs from a to the end of the field; `a` alone is one value.
    const last =
      range === '*' ? field.max : to !== undefined ? value(to) : step === undefined ? first : field.max;
    if (first > last) fail(part);
    for (let number = first; number <= last; number += every) values.add(number);
  }
  return values;
}

/**
 * An interval in milliseconds: `hh:mm:ss`, or `dd:hh:mm` from 24 on. Azure takes it in an App Service plan only
 * (learn.microsoft.com: Timer trigger for Azure Functions, "TimeSpan").
 * @returns undefined if the text is no interval, or that of no time
 */
export function intervalOf(schedule: string): number | undefined {
  const numbers = /^(\d{1,4}):(\d{1,2}):(\d{1,2})$/.exec(schedule.trim())?.slice(1).map(Number);
  if (numbers === undefined) return undefined;
  const [first, second, third] = numbers as [number, number, number];
  const seconds =
    first < 24 ? first * 3600 + second * 60 + third : first * 86_400 + second * 3600 + third * 60;
  return seconds > 0 ? seconds * 1000 : undefined;
}

/**
 * What is certainly wrong with a schedule: the number of its fields, a character, or a number out of range. The library of
 * the host (NCrontab) takes more than `Ncrontab` does, such as ranges that wrap, so that other faults are no faults of a
 * setting.
 * @returns undefined if the host may accept it
 */
export function scheduleFault(schedule: string): string | undefined {
  if (intervalOf(schedule) !== undefined) return undefined;
  const texts = schedule.trim().split(/\s+/);
  if (texts.length === 5) texts.unshift('0');
  if (texts.length !== FIELDS.length) return 'needs six fields, as in "0 */15 * * * *"';
  for (const [index, { name, max, names }] of FIELDS.entries()) {
    const text = texts[index]!;
    // What follows a slash is a step.
    const numbers = text.replace(/\/\d+/g, '').match(/\d+/g) ?? [];
    const isText = (names === undefined ? /^[\d*,/-]+$/ : /^[\w*,/-]+$/).test(text);
    if (!isText || numbers.some((number) => Number(number) > max)) return `has an invalid ${name}`;
  }
  return undefined;
}
