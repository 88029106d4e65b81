import { afterEach, describe, expect, it } from 'vitest';
import { ConfigurationError, SyncError } from '../../../src/errors.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { RunDocument } from '../../../src/sync/documents/run.ts';
import { endRun } from '../../../src/sync/run/end-run.ts';
import { runStatus, syncStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Calls `then` before each call of one method of the work store. */
function onCall(method: 'deletePrefix' | 'deleteIfUnchanged', then: (name: string) => unknown): () => void {
  const { work } = org.harness.services;
  const real = work[method].bind(work) as (...args: unknown[]) => Promise<unknown>;
  Object.assign(work, {
    [method]: async (name: string, ...rest: unknown[]) => {
      await then(name);
      return real(name, ...rest);
    },
  });
  return () => Object.assign(work, { [method]: real });
}

const documentsOf = async (runId: string): Promise<string[]> => {
  const names: string[] = [];
  for await (const { name } of org.harness.services.work.list(paths.runFolder(runId))) names.push(name);
  return names;
};

describe('the end of a run', () => {
  it('is shown once the next run can start, and not before', async () => {
    // A check of a database in parts would delete documents, too.
    org = await Organisation.start(['account'], { rows: 50 }, { SYNC_CHECK_HOURS: '0' });
    const { services } = org.harness;
    const seen: string[] = [];
    const look = async (): Promise<void> => {
      const { runId } = (await services.work.read<{ runId: string }>(paths.active))!.value;
      const { active, runs } = await syncStatus(services);
      seen.push(`${(await runStatus(services, runId))?.phase} ${active?.phase} ${runs[0]?.phase}`);
      expect((await org.harness.start()).outcome).toBe('live');
    };
    const restore = onCall('deleteIfUnchanged', look);
    onCall('deletePrefix', look);
    const { runId } = await org.harness.start();
    // A client that polls, and starts a run as soon as it sees the end.
    let over = false;
    const outcomes: string[] = [];
    const client = (async () => {
      while (!over) {
        if ((await runStatus(services, runId))?.phase !== 'complete') continue;
        restore();
        outcomes.push((await org.harness.startUnplanned()).outcome);
        over = true;
      }
    })();
    while (!over) {
      if (org.harness.waiting > 0) await org.harness.deliver();
      else await new Promise((done) => setImmediate(done));
    }
    await client;
    expect(outcomes).toEqual(['started']);
    expect(new Set(seen)).toEqual(new Set(['merging merging merging']));
  });

  it('deletes the documents of the run before it releases the run', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const left: string[][] = [];
    const { runId } = await org.harness.start();
    onCall('deleteIfUnchanged', async () => left.push(await documentsOf(runId)));
    await org.harness.drain();
    expect(left).toEqual([[paths.run(runId)]]);
  });

  it('releases the run although a document cannot be deleted', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    onCall('deletePrefix', () => {
      throw new SyncError('The blob is immutable.');
    });
    const { runId } = await org.harness.start();
    await org.harness.drain();
    expect((await runStatus(org.harness.services, runId))?.phase).toBe('complete');
    expect((await org.harness.startUnplanned()).outcome).toBe('started');
  });

  it.each(['a redelivered message', 'the next start', 'a start with resume'])(
    'that was interrupted is completed by %s',
    async (by) => {
      org = await Organisation.start(['account'], { rows: 50 });
      const { services } = org.harness;
      const restore = onCall('deleteIfUnchanged', () => {
        throw new SyncError('killed');
      });
      const { runId } = await org.harness.start();
      for (let error: unknown; error === undefined; ) error = await org.harness.deliver();
      restore();
      org.harness.restarted();
      expect((await runStatus(services, runId))?.phase).toBe('merging');
      expect((await org.harness.start()).outcome).toBe('live');
      if (by === 'a redelivered message') {
        await org.harness.drain();
      } else {
        if (by === 'the next start') org.clock.now += 120_000;
        const next = await org.harness.start({ resume: by === 'a start with resume' });
        expect(next.outcome).toBe('started');
        expect(next.runId).not.toBe(runId);
        await org.harness.drain();
      }
      expect((await runStatus(services, runId))?.phase).toBe('complete');
      expect(await documentsOf(runId)).toEqual([paths.run(runId)]);
      expect(await services.work.read(paths.active)).toBeUndefined();
      await org.expectMirror('account');
    },
  );
});

describe('the announcement of the end', () => {
  /** The phases of the events `RunEnded`. */
  function announced(): string[] {
    const phases: string[] = [];
    Object.assign(org.harness.services.telemetry, {
      event: (name: string, { phase }: { phase: string }) => {
        if (name === 'RunEnded') phases.push(phase);
      },
    });
    return phases;
  }

  /** Writes of run.json: each may be made, then the process is killed or not. */
  function killAfterWrite(number: number): () => void {
    const { work } = org.harness.services;
    const real = work.replaceIfUnchanged.bind(work);
    let writes = 0;
    work.replaceIfUnchanged = async (name, ...rest) => {
      const etag = await real(name, ...rest);
      if (name.endsWith('/run.json') && ++writes === number) throw new SyncError('killed');
      return etag;
    };
    return () => Object.assign(work, { replaceIfUnchanged: real });
  }

  it('comes once, with the phase that counts, if two processes end the run at the same time', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const phases = announced();
    const { services } = org.harness;
    const { runId } = await org.harness.start();
    await Promise.all([endRun(services, runId, 'complete'), endRun(services, runId, 'failed')]);
    await endRun(services, runId, 'abandoned');
    const { value } = (await services.work.read<RunDocument>(paths.run(runId)))!;
    expect(phases).toEqual([value.phase]);
    expect(value.announced).toBe(true);
    expect(await services.work.read(paths.active)).toBeUndefined();
    expect(await runStatus(services, runId)).not.toHaveProperty('announced');
  });

  it('keeps what a start adds while the report is written', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const { work } = org.harness.services;
    const { runId } = await org.harness.start();
    const real = work.replaceIfUnchanged.bind(work);
    work.replaceIfUnchanged = async (name, value, etag) => {
      work.replaceIfUnchanged = real;
      const found = (await work.read<RunDocument>(name))!;
      await real(name, { ...found.value, reread: ['account'] }, found.etag);
      return real(name, value, etag);
    };
    await endRun(org.harness.services, runId, 'failed');
    expect((await work.read(paths.keptReread))?.value).toEqual({ reread: ['account'] });
    expect((await work.read<RunDocument>(paths.run(runId)))?.value).toMatchObject({ reread: ['account'] });
  });

  it.each(['a redelivered message', 'the next start', 'a start with resume'])(
    'that a crash prevented is made up for by %s, once',
    async (by) => {
      org = await Organisation.start(['account'], { rows: 50 });
      const phases = announced();
      const { services } = org.harness;
      const { runId } = await org.harness.start();
      const restore = killAfterWrite(1);
      for (let error: unknown; error === undefined && org.harness.waiting > 0; )
        error = await org.harness.deliver();
      restore();
      org.harness.restarted();
      expect(phases).toEqual([]);
      if (by === 'a redelivered message') {
        // While the writer of the report may be alive, it is the one that announces.
        await endRun(services, runId, 'failed');
        expect(phases).toEqual([]);
        org.clock.now += 600_000;
        await org.harness.drain();
      } else {
        if (by === 'the next start') org.clock.now += 120_000;
        const next = await org.harness.startUnplanned({ resume: by === 'a start with resume' });
        expect(next.outcome).toBe('started');
      }
      expect(phases).toEqual(['complete']);
      expect((await runStatus(services, runId))?.phase).toBe('complete');
      await endRun(services, runId, 'failed');
      expect(phases).toEqual(['complete']);
    },
  );

  it.each(['complete', 'failed'])(
    'of a %s run that a crash prevented is made up for by the redelivered message alone',
    async (phase) => {
      org = await Organisation.start(['account'], { rows: 50 });
      const phases = announced();
      const { services, storage } = org.harness;
      if (phase === 'failed') {
        storage.databaseFile.commit = () => Promise.reject(new ConfigurationError('The blob is leased.'));
      }
      const { sendMerge } = services;
      const delays: (number | undefined)[] = [];
      services.sendMerge = (message, delay) => {
        delays.push(delay);
        return sendMerge(message);
      };
      await org.harness.start();
      const restore = killAfterWrite(1);
      for (let error: unknown; error === undefined; ) error = await org.harness.deliver();
      restore();
      org.harness.restarted();
      // At once, while the writer of the report may be alive.
      await org.harness.deliver();
      expect(phases).toEqual([]);
      expect(delays).toEqual([undefined, 60]);
      org.clock.now += 60_000;
      await org.harness.deliver();
      expect(phases).toEqual([phase]);
      expect(org.harness.waiting).toBe(0);
      expect(await services.work.read(paths.active)).toBeUndefined();
    },
  );

  it('is completed by a start without moving tables, which can take minutes', async () => {
    org = await Organisation.start(['account']);
    let moves = 0;
    const { runId } = await org.harness.start();
    const restore = killAfterWrite(1);
    for (let error: unknown; error === undefined; ) error = await org.harness.deliver();
    restore();
    org.harness.restarted();
    org.harness.services.mirror.arrange = async () => {
      moves += 1;
    };
    org.clock.now += 60_000;
    expect(await org.harness.startUnplanned()).not.toMatchObject({ runId });
    expect(moves).toBe(0);
    while (org.harness.waiting > 0) await org.harness.deliver();
    expect(moves).toBeGreaterThan(0);
  });

  it('of a run that could not be planned is made up for by the redelivered message alone', async () => {
    org = await Organisation.start(['account']);
    const phases = announced();
    const { services } = org.harness;
    services.readEntities = () => {
      throw new ConfigurationError('entities.json is broken.');
    };
    const { sendPlan } = services;
    const delays: (number | undefined)[] = [];
    services.sendPlan = (message, delay) => {
      delays.push(delay);
      return sendPlan(message);
    };
    const { runId } = await org.harness.startUnplanned();
    const restore = killAfterWrite(1);
    expect(await org.harness.deliver()).toMatchObject({ message: 'killed' });
    restore();
    org.harness.restarted();
    await org.harness.deliver();
    expect(phases).toEqual([]);
    expect(delays).toEqual([undefined, 60]);
    org.clock.now += 60_000;
    await org.harness.deliver();
    expect(phases).toEqual(['failed']);
    expect(org.harness.waiting).toBe(0);
    expect(await runStatus(services, runId)).toMatchObject({ phase: 'failed' });
    // A late duplicate finds the run released, and says nothing again.
    await services.sendPlan({ runId });
    await org.harness.deliver();
    expect(phases).toEqual(['failed']);
  });

  it('of a run of an earlier version of the app is made up for by its message', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const phases = announced();
    const { services } = org.harness;
    const { runId } = await org.harness.start();
    const restore = killAfterWrite(1);
    for (let error: unknown; error === undefined; ) error = await org.harness.deliver();
    restore();
    org.harness.restarted();
    const active = (await services.work.read<object>(paths.active))!;
    await services.work.replaceIfUnchanged(paths.active, { ...active.value, format: 1 }, active.etag);
    org.clock.now += 60_000;
    await org.harness.drain();
    expect(phases).toEqual(['complete']);
    expect((await runStatus(services, runId))?.phase).toBe('complete');
  });

  it('that cannot be noted does not keep the run live', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const phases = announced();
    killAfterWrite(2);
    const { runId } = await org.harness.start();
    await org.harness.drain();
    expect(phases).toEqual(['complete']);
    // Nor does a late duplicate of a message announce it again.
    org.clock.now += 600_000;
    await org.harness.services.sendMerge({ runId, round: 1 });
    await org.harness.drain();
    expect(phases).toEqual(['complete']);
    expect((await org.harness.startUnplanned()).outcome).toBe('started');
  });
});

describe('a merge that cannot succeed until a person acts', () => {
  it('ends the run at once, and the next run merges everything', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    const { databaseFile } = org.harness.storage;
    const { commit } = databaseFile;
    let tries = 0;
    databaseFile.commit = async () => {
      tries += 1;
      throw new ConfigurationError('The blob is leased.', { hint: 'Break the lease.' });
    };
    const { runId } = await org.harness.start();
    await org.harness.drain();
    expect(tries).toBe(1);
    expect(await runStatus(org.harness.services, runId)).toMatchObject({
      phase: 'failed',
      error: 'The blob is leased.',
      hint: 'Break the lease.',
    });
    databaseFile.commit = commit;
    await org.sync();
    await org.expectMirror('account');
  });
});

describe('requests to storage', () => {
  /** Counts reads by name. */
  function countReads(): Map<string, number> {
    const counts = new Map<string, number>();
    const { work, published } = org.harness.services;
    for (const store of [work, published]) {
      const real = store.read.bind(store);
      store.read = (name) => {
        counts.set(name, (counts.get(name) ?? 0) + 1);
        return real(name);
      };
    }
    return counts;
  }

  it('read each document once per invocation', async () => {
    org = await Organisation.start(['account', 'contact', 'lead'], { rows: 200 });
    await org.sync();
    org.rows('account', 3);
    org.clock.now += 60_000;
    await org.harness.startUnplanned();
    const counts = countReads();
    const twice: string[] = [];
    while (org.harness.waiting > 0) {
      counts.clear();
      org.harness.restarted();
      await org.harness.deliver();
      twice.push(...[...counts].filter(([, count]) => count > 1).map(([name, count]) => `${name} ${count}`));
    }
    // At its end the merge asks whether a start has resumed the run, or allowed mass deletes, meanwhile.
    expect(twice.map((one) => one.split('/').at(-1)).sort()).toEqual(['active.json 2', 'run.json 2']);
  });

  it('of the overview do not list what is in the folders of runs', async () => {
    org = await Organisation.start(
      ['account', 'contact'],
      { rows: 200 },
      { SYNC_SLICE_MB: '0.001', DATAVERSE_PAGE_SIZE: '5' },
    );
    await org.sync();
    org.rows('account', 60);
    org.clock.now += 60_000;
    await org.harness.start();
    for (let n = 0; n < 3; n++) await org.harness.deliver();
    const { services } = org.harness;
    const listed: string[] = [];
    const { list } = services.work;
    services.work.list = (prefix) => {
      listed.push(prefix);
      return list.call(services.work, prefix);
    };
    const { active, runs } = await syncStatus(services);
    expect(runs.map(({ phase }) => phase)).toEqual(['fetching', 'complete']);
    expect(active?.totals.rowsRead).toBeGreaterThan(0);
    // Of the live round, to show how far it is.
    expect(listed).toEqual([paths.roundFolder(active!.runId, 1)]);
    const counts = countReads();
    await syncStatus(services);
    // No slice again, and none that does not exist.
    expect([...counts.keys()].filter((name) => name.includes('/slices/') || name.includes('failed'))).toEqual(
      [],
    );
  });
});
