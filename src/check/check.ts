import { describeError, SyncError } from '../errors.ts';
import { safeLine } from '../safe-text.ts';

/** What one check found. Neither text may hold a secret or row data. */
export interface Finding {
  ok: boolean;
  /** What was found, as a sentence. */
  detail: string;
  /** What to do, or to know. */
  hint?: string | undefined;
  /** The numbers in `detail`, for programs. */
  figures?: Record<string, number> | undefined;
}

export interface Check extends Finding {
  /** What was checked: `storage of the host: blobs`, `table account`. */
  name: string;
  /** The further environment that it is about, in a report of several. */
  environment?: string | undefined;
}

/** A check that is still to be made. It can find several things, each with a name of its own. */
export interface PendingCheck {
  name: string;
  run: (signal: AbortSignal) => Promise<Finding | Check[]>;
}

/**
 * Makes all checks at the same time. An error is a finding, and so is a check that takes too long.
 * @param timeoutMilliseconds for all of them
 */
export async function runChecks(checks: PendingCheck[], timeoutMilliseconds: number): Promise<Check[]> {
  const ended = new AbortController();
  const late = new Promise<undefined>((resolve) => {
    const timer = setTimeout(() => {
      ended.abort();
      resolve(undefined);
    }, timeoutMilliseconds);
    ended.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  const found = await Promise.all(
    checks.map(async ({ name, run }): Promise<Check[]> => {
      try {
        const finding = await Promise.race([run(ended.signal), late]);
        if (finding === undefined) return [{ name, ...tooLate(timeoutMilliseconds) }];
        return Array.isArray(finding) ? finding : [{ name, ...finding }];
      } catch (error) {
        return [{ name, ...(ended.signal.aborted ? tooLate(timeoutMilliseconds) : failed(error)) }];
      }
    }),
  );
  ended.abort();
  return found.flat().map(safeCheck);
}

const maxLength = 1000;

/** Texts of services can be in a finding. */
function safeCheck(check: Check): Check {
  const safe = (text: string) => safeLine(text).slice(0, maxLength);
  return {
    ...check,
    detail: safe(check.detail),
    hint: check.hint === undefined ? undefined : safe(check.hint),
  };
}

/** An error as a finding. The text of an error that this project did not throw may quote what is not for callers. */
export function failed(error: unknown): Finding {
  if (error instanceof SyncError)
    return { ok: false, detail: error.message, hint: describeError(error).hint };
  const kind = error instanceof Error ? error.name : 'unknown';
  return { ok: false, detail: `The check failed with an unexpected error (${kind}).` };
}

function tooLate(milliseconds: number): Finding {
  return {
    ok: false,
    detail: `No answer within ${milliseconds / 1000} seconds.`,
    hint: 'Check the network between the app and the service: private endpoints, firewalls, proxies, DNS.',
  };
}

/** The most that the clock of this machine may differ from that of a service. Tokens and watermarks compare the two. */
const maxSkewSeconds = 60;

/** Compares this machine's clock with that of a service. */
export function clockFinding(service: string, ours: number, theirs: number): Finding {
  const seconds = Math.round((ours - theirs) / 1000);
  // The header has whole seconds.
  const detail =
    Math.abs(seconds) <= 1
      ? `The clock agrees with that of ${service}.`
      : `The clock is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} that of ${service}.`;
  if (Math.abs(seconds) <= maxSkewSeconds) return { ok: true, detail };
  return { ok: false, detail, hint: 'Synchronize the clock of this machine.' };
}
