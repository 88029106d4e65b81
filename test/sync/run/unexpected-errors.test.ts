import { afterEach, describe, expect, it } from 'vitest';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const secret = 'Cannot read properties of "Jane Doe"';
const fail = (): never => {
  throw new TypeError(secret);
};

/** The log has the stack and the run; callers see neither the text nor the stack. */
async function expectHidden(runId: string, tries: number): Promise<void> {
  const { log, services } = org.harness;
  const shown = JSON.stringify([await runStatus(services, runId), await services.documents.run(runId)]);
  expect(shown).not.toContain('Jane');
  expect(shown).not.toContain('TypeError');
  expect(shown).toContain(`Search it for ${runId}.`);
  const lines = log.filter(({ message }) => message.includes(secret));
  expect(lines).toHaveLength(tries);
  for (const { message, properties } of lines) {
    expect(message).toMatch(/TypeError: Cannot read .*\n {4}at /);
    expect(properties).toMatchObject({ runId });
  }
}

describe('an unexpected error', () => {
  it('of the planning', async () => {
    org = await Organisation.start(['account'], { rows: 30 });
    Object.assign(org.harness.services, { readEntities: fail });
    const { runId } = await org.harness.start();
    await expectHidden(runId, 5);
  });

  it('of a fetch', async () => {
    org = await Organisation.start(['account'], { rows: 30 });
    const { services } = org.harness;
    services.dataverse = { ...services.dataverse, readPages: fail };
    const status = await org.sync();
    expect(reportOf(status, 'account')).toMatchObject({ state: 'failed' });
    await expectHidden(status.runId, 5);
  });

  it('of the merge of a table', async () => {
    org = await Organisation.start(['account', 'contact'], { rows: 60 });
    const { services } = org.harness;
    const { getBytes } = services.work;
    services.shards.get = () => undefined;
    services.work.getBytes = (name) =>
      name.includes('/contact/') ? fail() : getBytes.call(services.work, name);
    const status = await org.sync();
    expect(reportOf(status, 'contact')).toMatchObject({ state: 'failed' });
    expect(reportOf(status, 'account')).toMatchObject({ state: 'merged' });
    await expectHidden(status.runId, 1);
    expect(JSON.stringify(await org.query('SELECT * FROM _sync_log'))).not.toContain('Jane');
  });

  it('of a commit', async () => {
    org = await Organisation.start(['account'], { rows: 30 });
    org.harness.storage.databaseFile.commit = fail;
    const { runId } = await org.harness.start();
    await org.harness.drain();
    expect(await runStatus(org.harness.services, runId)).toMatchObject({ phase: 'failed' });
    await expectHidden(runId, 5);
  });
});
