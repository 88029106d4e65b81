import { ConfigurationError } from '../../../errors.ts';

/** The longest delay of `setTimeout` in milliseconds; a longer one fires at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * The milliseconds of a .NET TimeSpan as host.json has it (`hh:mm:ss`, `d.hh:mm:ss`, with a fraction of a second). If
 * the first of three parts is 24 or more, .NET reads days, hours and minutes
 * (learn.microsoft.com: Timer trigger for Azure Functions, "TimeSpan").
 *
 * @param where the setting, for the error message
 * @throws ConfigurationError if the text is not a TimeSpan
 */
export function parseTimeSpan(text: string, where: string): number {
  const match = /^(?:(\d+)\.)?(\d+):(\d{1,2}):(\d{1,2})(\.\d{1,7})?$/.exec(text.trim());
  if (match === null) throw notATimeSpan(text, where);
  const [, days, ...parts] = match;
  const [first = 0, second = 0, third = 0] = parts.slice(0, 3).map(Number);
  const fraction = Number(parts[3] ?? 0);
  if (days === undefined && first >= 24) {
    if (second > 23 || third > 59 || fraction > 0) throw notATimeSpan(text, where);
    return ((first * 24 + second) * 60 + third) * 60_000;
  }
  if (first > 23 || second > 59 || third > 59) throw notATimeSpan(text, where);
  const seconds = ((Number(days ?? 0) * 24 + first) * 60 + second) * 60 + third;
  return Math.round((seconds + fraction) * 1000);
}

function notATimeSpan(text: string, where: string): ConfigurationError {
  return new ConfigurationError(`${where}: "${text}" is not a time span`, {
    object: where,
    hint: 'Write it as hh:mm:ss, for example "00:00:10" for ten seconds.',
  });
}
