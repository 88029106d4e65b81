import { afterEach, describe, expect, it } from 'vitest';
import { ConfigurationError, RetriableError } from '../../../src/errors.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

describe('starting a run', () => {
  it('sends no request to Dataverse; its plan comes from the queue', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const { requests } = org.dataverse.stats;
    const { runId, outcome } = await org.harness.startUnplanned();
    expect(outcome).toBe('started');
    expect(org.dataverse.stats.requests).toBe(requests);
    expect(await runStatus(org.harness.services, runId)).toMatchObject({ phase: 'planning', entities: [] });
    await org.harness.drain();
    expect(await runStatus(org.harness.services, runId)).toMatchObject({ phase: 'complete' });
    await org.expectMirror('account');
  });
});

describe('planning', () => {
  /** The next `times` reads of the metadata fail. */
  function failing(times: number, error: Error): { tries: () => number } {
    const { services } = org.harness;
    const real = services.dataverse;
    let tries = 0;
    services.dataverse = {
      ...real,
      readEntityDefinitions: async (...args) => {
        if (++tries <= times) throw error;
        return real.readEntityDefinitions(...args);
      },
    };
    return { tries: () => tries };
  }

  it('is repeated by the queue after a transient error', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    failing(2, new RetriableError('Dataverse is busy.'));
    expect((await org.sync()).phase).toBe('complete');
    await org.expectMirror('account');
  });

  it('waits as long as Dataverse asks, and does not fail by it', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const { services } = org.harness;
    const { sendPlan } = services;
    const delays: (number | undefined)[] = [];
    services.sendPlan = async (message, delay) => {
      delays.push(delay);
      await sendPlan(message);
    };
    failing(9, new RetriableError('Dataverse throttles.', { retryAfterSeconds: 289.5 }));
    expect((await org.sync()).phase).toBe('complete');
    expect(delays).toEqual([undefined, ...Array(9).fill(290)]);
  });

  it('that fails repeatedly ends the run with the last error', async () => {
    org = await Organisation.start(['account']);
    const { tries } = failing(100, new RetriableError('Dataverse is busy.', { hint: 'Wait.' }));
    const { runId } = await org.harness.start();
    expect(tries()).toBe(5);
    expect(await runStatus(org.harness.services, runId)).toMatchObject({
      phase: 'failed',
      error: 'Dataverse is busy.',
      hint: 'Wait.',
    });
    expect(await org.harness.services.work.read(paths.active)).toBeUndefined();
  });

  it('that finds a mistake ends the run at once, with one line in the log', async () => {
    org = await Organisation.start(['account']);
    const { tries } = failing(100, new ConfigurationError('No access.', { hint: 'Ask for access.' }));
    const { runId } = await org.harness.start();
    expect(tries()).toBe(1);
    expect(await runStatus(org.harness.services, runId)).toMatchObject({
      phase: 'failed',
      error: 'No access.',
      hint: 'Ask for access.',
    });
    expect(org.harness.log.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('continues where an earlier delivery died, and is dropped when the run is over', async () => {
    org = await Organisation.start(['account', 'lead'], { rows: 100 });
    const { services } = org.harness;
    const { sendFetch } = services;
    let sent = 0;
    services.sendFetch = async (message) => {
      if (++sent === 2) throw new Error('killed');
      await sendFetch(message);
    };
    const { runId } = await org.harness.start();
    await org.harness.drain();
    expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    await org.expectMirror('account', 'lead');
    const requests = org.dataverse.stats.requests;
    await services.sendPlan({ runId });
    await org.harness.drain();
    expect(org.dataverse.stats.requests).toBe(requests);
  });

  it('is repeated if another attempt saved later cursors, which prove no move back in time', async () => {
    org = await Organisation.start(['account', 'team'], { rows: 30 });
    await org.sync();
    const { mirror } = org.harness.services;
    const { loadState, saveState } = mirror;
    const [read, saved] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let message: Promise<unknown> | undefined;
    mirror.loadState = async () => {
      mirror.loadState = loadState;
      // Before the timer's process has read anything, a person resumes the run. Its message reads first and saves last.
      await org.harness.startUnplanned({ resume: true });
      mirror.saveState = async (loaded) => {
        mirror.saveState = saveState;
        read.resolve();
        await saved.promise;
        return saveState.call(mirror, loaded);
      };
      message = org.harness.deliver();
      await read.promise;
      // Of a table that is not mirrored: it raises the versions in the delta tokens.
      org.rows('contact', 1);
      return loadState.call(mirror);
    };
    org.clock.now += 60_000;
    const { runId } = await org.harness.startUnplanned({ trigger: 'timer' });
    saved.resolve();
    const error = await message;
    await org.harness.drain();
    const status = (await runStatus(org.harness.services, runId))!;
    expect(status).toMatchObject({ phase: 'complete', rounds: 1 });
    expect(status.entities.map(({ reread }) => reread)).toEqual([undefined, undefined]);
    expect(error).toBeInstanceOf(RetriableError);
  });
});
