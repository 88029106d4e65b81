import { HttpRequest } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '../../../src/http/problem.ts';
import { postSync } from '../../../src/http/sync/post-sync.ts';
import { Organisation } from '../../sync/organisation.ts';

let org: Organisation;
beforeAll(async () => {
  org = await Organisation.start(['lead', 'account']);
});
afterAll(() => org.stop());

const post = async (body: unknown) => {
  const text = JSON.stringify(body);
  const url = 'http://127.0.0.1/api/sync';
  return postSync(org.harness.services, new HttpRequest({ method: 'POST', url, body: { string: text } }));
};

describe('POST /api/sync', () => {
  it.each([
    [['leads'], 'leads is not in entities.json; did you mean lead?'],
    [
      ['lead', 'acount', 'x'],
      'acount is not in entities.json; did you mean account? x is not in entities.json.',
    ],
    [['Account'], 'Account is not in entities.json; did you mean account?'],
  ])('answers 400 to allowMassDelete %j, and starts nothing', async (allowMassDelete, detail) => {
    const error = await post({ allowMassDelete, resume: true }).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(Problem);
    expect((error as Problem).document).toMatchObject({
      status: 400,
      detail: expect.stringContaining(detail),
      hint: expect.stringContaining('logical names'),
    });
    expect(org.harness.waiting).toBe(0);
  });

  it.each([
    [['leads'], 'reread: leads is not in entities.json; did you mean lead?'],
    [['lead', 'x'], 'reread: x is not in entities.json.'],
    ['lead', 'expected "all" or a list of logical names'],
    [true, 'expected "all" or a list of logical names'],
  ])('answers 400 to reread %j, and starts nothing', async (reread, detail) => {
    const error = await post({ reread, resume: true }).catch((problem: unknown) => problem);
    expect((error as Problem).document).toMatchObject({
      status: 400,
      detail: expect.stringContaining(detail),
    });
    expect(org.harness.waiting).toBe(0);
  });

  it.each([{ reread: ['lead'] }, { reread: 'all' }])('starts a run with $reread', async ({ reread }) => {
    const { jsonBody } = await post({ reread });
    const { runId, outcome } = jsonBody as { runId: string; outcome: string };
    expect(outcome).toBe('started');
    expect(await org.harness.services.documents.run(runId)).toMatchObject({ reread });
    await org.harness.drain();
  });

  it.each([
    [{ tables: ['leads'] }, 'tables: leads is not in entities.json; did you mean lead?'],
    [{ tables: [] }, 'expected at least one logical name'],
    [{ tables: 'lead' }, 'expected array'],
    [{ tables: ['lead'], resume: true }, 'resume and tables exclude each other.'],
    [{ tables: ['lead'], dropTables: ['task'] }, 'dropTables and tables exclude each other.'],
    [{ tables: ['lead'], reread: ['account'] }, 'reread: the run is not of account.'],
    [{ tables: ['lead'], reread: 'all' }, 'reread: the run is not of all.'],
    [{ tables: ['lead'], allowMassDelete: ['account'] }, 'allowMassDelete: the run is not of account.'],
  ])('answers 400 to %j, and starts nothing', async (body, detail) => {
    const error = await post(body).catch((problem: unknown) => problem);
    expect((error as Problem).document).toMatchObject({
      status: 400,
      detail: expect.stringContaining(detail),
      hint: expect.any(String),
    });
    expect(org.harness.waiting).toBe(0);
  });

  it('starts a run of some tables, each of them once', async () => {
    const nothing = { resume: false, dropTables: [], allowMassDelete: [] };
    const { jsonBody } = await post({ tables: ['lead', 'lead'], reread: ['lead'], ...nothing });
    const { runId } = jsonBody as { runId: string };
    await org.harness.drain();
    const run = await org.harness.services.documents.run(runId);
    expect(run).toMatchObject({ phase: 'complete', tables: ['lead'] });
    expect(run!.entities!.map(({ name }) => name)).toEqual(['lead']);
  });

  it('answers 202, and 409 with a hint while the run is live', async () => {
    expect(await post({ allowMassDelete: ['lead'] })).toMatchObject({
      status: 202,
      jsonBody: { outcome: 'started' },
    });
    expect(await post({})).toMatchObject({
      status: 409,
      jsonBody: { outcome: 'live', hint: 'Wait until the run is over, or resume it.' },
    });
    await org.harness.drain();
  });
});
