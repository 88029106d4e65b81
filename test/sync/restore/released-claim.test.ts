import { expect, it } from 'vitest';
import { ConfigurationError, ConflictError } from '../../../src/errors.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { type RestoreServices, restoreDatabase } from '../../../src/sync/restore/restore-database.ts';
import { memoryStorage } from '../memory-storage.ts';

it.each([
  [true, ConfigurationError, 'No state of the database'],
  [undefined, ConflictError, 'Run r is live.'],
])(
  'a claim with released %s, of a run that left a request, is told from a live run',
  async (released, error, text) => {
    const { work } = memoryStorage();
    const active = { runId: 'r', startedAt: '2026-11-21T02:00:00Z', resumptions: 0 };
    await work.put(paths.active, { ...active, released });
    const services = { work, listVersions: async () => [] } as unknown as RestoreServices;
    const fault: unknown = await restoreDatabase(services, new Date()).catch((reason: unknown) => reason);
    expect(fault).toBeInstanceOf(error);
    expect(String(fault)).toContain(text);
  },
);
