import type { SyncServices } from '../../sync/documents/services.ts';
import { readHistory } from '../../sync/history/run-history.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/** Thirteen months. */
const mostDays = 400;

/** `GET /api/sync/history?days=7`: a line for each run that ended in the last days, newest first. */
export const getHistory: Handler<SyncServices> = async (services, request) => {
  const text = request.query.get('days') ?? '7';
  const days = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (days < 1 || days > mostDays) {
    throw new Problem(400, `days is not a number from 1 to ${mostDays}.`, {
      hint: 'Such as GET /api/sync/history?days=30.',
    });
  }
  const since = new Date(services.now().getTime() - days * 86_400_000);
  return { jsonBody: await readHistory(services, { since }) };
};
