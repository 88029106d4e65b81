import type { Handler } from '../handler.ts';

/** `GET /api/check`: 200 if every check is ok, else 503; the body has all checks either way. */
export function getCheck(checkEverything: () => Promise<{ ok: boolean }>): Handler<void> {
  return async () => {
    const report = await checkEverything();
    return { status: report.ok ? 200 : 503, jsonBody: report };
  };
}
