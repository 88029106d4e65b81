import { afterEach, expect, it } from 'vitest';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { StartOptions, StartResult } from '../../../src/sync/run/start-run.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const request: StartOptions = { trigger: 'http', reread: ['account'] };

/** Calls `before` once, before the next call of a method of the storage with this name of a blob or prefix. */
function interrupt(method: 'list' | 'createIfAbsent', name: RegExp, before: () => Promise<void>): void {
  const { work } = org.harness.services;
  const real = (work[method] as (...args: unknown[]) => unknown).bind(work);
  const restore = (): void => void delete (work as unknown as Record<string, unknown>)[method];
  const isMeant = (args: unknown[]): boolean => name.test(String(args[0]));
  const change =
    method === 'list'
      ? async function* (...args: unknown[]) {
          if (isMeant(args)) {
            restore();
            await before();
          }
          yield* real(...args) as AsyncIterable<unknown>;
        }
      : async (...args: unknown[]) => {
          if (isMeant(args)) {
            restore();
            await before();
          }
          return real(...args);
        };
  Object.assign(work, { [method]: change });
}

/** The request must have started a run of its own, which meets it. */
async function expectMet({ outcome, runId }: StartResult, other: string): Promise<void> {
  expect(outcome).toBe('started');
  expect(runId).not.toBe(other);
  await org.harness.drain();
  const { work, documents } = org.harness.services;
  expect(await work.read(paths.active)).toBeUndefined();
  const run = (await documents.run(runId))!;
  expect(reportOf({ entities: run.entities! }, 'account')).toMatchObject({
    reread: 'on request',
    state: 'merged',
  });
  expect((await documents.run(other))!.reread).toBeUndefined();
}

it.each([
  ['after the request looked at it', 'list', /^runs\/[^/]*\/$/],
  ['before the request is written', 'createIfAbsent', /run\.json$/],
] as const)(
  'a request to a run that ends where it started, %s, starts another run',
  async (_, method, name) => {
    org = await Organisation.start(['account'], { rows: 30 });
    await org.sync();
    const { mirror } = org.harness.services;
    const { saveState } = mirror;
    const [inside, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let second: Promise<StartResult> | undefined;
    mirror.saveState = async (loaded) => {
      mirror.saveState = saveState;
      interrupt(method, name, () => {
        inside.resolve();
        return ended.promise;
      });
      second = org.harness.startUnplanned({ ...request, resume: true });
      await inside.promise;
      return saveState.call(mirror, loaded);
    };
    org.clock.now += 60_000;
    const { runId } = await org.harness.startUnplanned({ trigger: 'timer' });
    ended.resolve();
    await expectMet((await second)!, runId);
  },
);

it('a request whose start is so slow that another start resumed its run, which has ended, starts another run', async () => {
  org = await Organisation.start(['account'], { rows: 30 });
  await org.sync();
  let other = '';
  interrupt('createIfAbsent', /run\.json$/, async () => {
    org.clock.now += 240_000;
    const resumed = await org.harness.startUnplanned({ trigger: 'timer' });
    expect(resumed.outcome).toBe('resumed');
    other = resumed.runId;
    await org.harness.drain();
  });
  await expectMet(await org.harness.startUnplanned(request), other);
});
