import type { Answer, Asked, OpenPlace } from './worker-messages.ts';

/** What answers the reads of a page, one after the other. */
export interface Answerer {
  ask(asked: Asked): Promise<Answer>;
  /** Ends what is running. Nothing is asked of it any more. */
  end(): void;
}

/** The thread in which SQLite runs. @param onError is told what ended it */
export function sqliteThread(
  { worker: address, ...place }: OpenPlace & { worker: string },
  onError: (message: string) => void,
): Answerer {
  const worker = new Worker(trusted(address) as unknown as string, { type: 'module' });
  let take: ((answer: Answer) => void) | undefined;
  worker.onmessage = ({ data }: MessageEvent<Answer>) => take?.(data);
  worker.onerror = (event) => {
    event.preventDefault();
    onError(event.message || 'SQLite could not be started.');
  };
  return {
    ask: (asked) =>
      new Promise((done) => {
        take = done;
        worker.postMessage(asked.kind === 'open' ? { ...asked, ...place } : asked);
      }),
    end: () => worker.terminate(),
  };
}

/** The policy of the page lets a thread start only from an address that was looked at. */
function trusted(address: string): unknown {
  const types = (
    globalThis as {
      trustedTypes?: {
        createPolicy(name: string, rules: object): { createScriptURL(text: string): unknown };
      };
    }
  ).trustedTypes;
  if (types === undefined) return address;
  policy ??= types.createPolicy('worker', {
    createScriptURL: (text: string) => {
      const { origin, pathname } = new URL(text, location.href);
      if (origin !== location.origin || !/\/assets\/sqlite-worker-[0-9a-f]{12}\.js$/.test(pathname))
        throw new TypeError('No thread of this app.');
      return text;
    },
  });
  return policy.createScriptURL(address);
}
let policy: { createScriptURL(text: string): unknown } | undefined;
