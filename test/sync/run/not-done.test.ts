import { afterEach, describe, expect, it } from 'vitest';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

describe('what a person allowed for a run that fails', () => {
  it('is named in its report and its log, and is not done by the next run', async () => {
    org = await Organisation.start(['account', 'lead']);
    const ids = org.rows('account', 40);
    org.rows('lead', 2);
    await org.sync();
    org.harness.configure(['account']);
    await org.sync();
    for (const id of ids.slice(0, 30)) org.store.delete('account', id);
    const { services } = org.harness;
    const { transaction } = services.mirror;
    services.mirror.transaction = () => Promise.reject(new Error('the merge fails'));
    const request = { allowMassDelete: ['account'], dropTables: ['lead'] };
    org.clock.now += 60_000;
    const { runId } = await org.harness.start(request);
    await org.harness.drain();
    services.mirror.transaction = transaction;
    const failed = (await runStatus(services, runId))!;
    expect(failed).toMatchObject({ phase: 'failed', notDone: request });
    expect(failed.hint).toContain(`POST /api/sync with ${JSON.stringify(request)}`);
    const warnings = org.harness.log.filter(
      ({ level, message }) => level === 'warn' && /still right/.test(message),
    );
    expect(warnings).toHaveLength(1);
    await org.sync();
    expect(await org.ids('account')).toHaveLength(40);
    expect(await org.ids('lead')).toHaveLength(2);
    const done = await org.sync(request);
    expect(done.notDone).toBeUndefined();
    expect(done.hint).toBeUndefined();
    expect(await org.ids('account')).toHaveLength(10);
    expect(Object.keys((await services.mirror.loadState()).state.entities)).toEqual(['account']);
  });

  it('names a table that could not be read, also of a run that completes', async () => {
    org = await Organisation.start(['account', 'lead']);
    org.rows('account', 2);
    org.rows('lead', 2);
    await org.sync();
    org.store.deniedPrivileges.add('prvReadLead');
    const { notDone } = await org.sync({ allowMassDelete: ['account', 'lead'] });
    expect(notDone).toEqual({ allowMassDelete: ['lead'], dropTables: [] });
  });
});
