import { intervalOf, Ncrontab, scheduleFault } from '../config/ncrontab.ts';
import { ConfigurationError } from '../errors.ts';
import type { Finding } from './check.ts';

/** Below this, a run seldom ends before the next one is due, and idle runs cost more than they bring. */
const leastSeconds = 60;
const shownTimes = 3;

/** When the timer starts the next runs. @throws ConfigurationError if the schedule is not valid */
export function checkSchedule(schedule: string, now: Date): Finding {
  const fault = scheduleFault(schedule);
  if (fault !== undefined) throw new ConfigurationError(`SYNC_SCHEDULE ${fault}.`);
  let ncrontab: Ncrontab;
  try {
    ncrontab = new Ncrontab(schedule);
  } catch (error) {
    return {
      ok: true,
      detail: 'The host may accept the schedule. Its times are not known here.',
      hint: (error as Error).message,
    };
  }
  const times: Date[] = [];
  for (let time = ncrontab.next(now); time && times.length < shownTimes; time = ncrontab.next(time))
    times.push(time);
  const gaps = times.slice(1).map((time, at) => (time.getTime() - times[at]!.getTime()) / 1000);
  const detail = `The next runs start at ${times.map((time) => time.toISOString()).join(', ')}.`;
  const hint =
    intervalOf(schedule) === undefined
      ? undefined
      : 'Azure takes an interval in an App Service plan only. In other plans write six fields, as in "0 */15 * * * *".';
  if (Math.min(...gaps) >= leastSeconds) return { ok: true, detail, hint };
  return {
    ok: false,
    detail: `${detail} That is more than one a minute.`,
    hint: 'Set SYNC_SCHEDULE to a longer interval, such as "0 */15 * * * *". The first of its six fields is the second.',
  };
}
