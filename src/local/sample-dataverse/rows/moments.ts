import type { Random } from './random.ts';

export const hour = 3_600_000;
export const day = 24 * hour;

/** The length of the organization's history, in days. */
const historyDays = 3 * 365;

/** A moment of the organization's history in milliseconds, mostly in working hours and with a recent tail. */
export function someMoment(now: number, random: Random): number {
  const recent = random.chance(0.12);
  const age = recent ? 30 * random.fraction() : 30 + (historyDays - 30) * random.fraction() ** 1.4;
  return workingHours(now - age * day, now, random);
}

/** A moment after `start` and before `now`, on average `typicalDays` later. */
export function momentAfter(start: number, typicalDays: number, now: number, random: Random): number {
  const wanted = start + random.exponential(typicalDays) * day;
  const end = wanted < now ? wanted : start + (now - start) * random.fraction();
  return Math.max(start, workingHours(end, now, random));
}

/**
 * When a row last changed. Three in ten never did. A quarter changed in the weekly import, which writes many rows
 * in the same second.
 */
export function lastChange(created: number, now: number, random: Random): number {
  const kind = random.fraction();
  if (kind < 0.3) return created;
  const moment = momentAfter(created, 120, now, random);
  if (kind > 0.55) return moment;
  const imported = importBefore(moment);
  return imported > created ? imported : moment;
}

/** The last import before a moment: Sundays at 01:30 UTC. The epoch began on a Thursday. */
function importBefore(moment: number): number {
  const week = 7 * day;
  const offset = 3 * day + 1.5 * hour;
  return Math.floor((moment - offset) / week) * week + offset;
}

/** Moves most moments to a working day between 7:00 and 18:00 UTC, none beyond `now`. */
function workingHours(moment: number, now: number, random: Random): number {
  const time = random.chance(0.06)
    ? day * random.fraction()
    : 7 * hour + (11 * hour * (random.fraction() + random.fraction())) / 2;
  let start = Math.floor(moment / day) * day;
  if (start + time >= now) start -= day;
  const weekday = (start / day + 4) % 7;
  if (!random.chance(0.03)) {
    if (weekday === 6) start -= day;
    if (weekday === 0) start -= 2 * day;
  }
  return Math.floor((start + time) / 1000) * 1000;
}
