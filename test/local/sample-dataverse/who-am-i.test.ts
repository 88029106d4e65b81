import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { wideMetadata } from '../../bench/wide-metadata.ts';

test('WhoAmI answers also where the metadata has no business units', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'who-am-i-'));
  const { document, tables } = wideMetadata(1, 20);
  const metadata = join(folder, 'metadata.xml');
  writeFileSync(metadata, document);
  const sample = await startSampleDataverse({ metadata, tables, rows: 1 });
  try {
    const headers = { authorization: 'Bearer token' };
    const response = await fetch(`${sample.url}/api/data/v9.2/WhoAmI()`, { headers });
    expect(await response.json()).toMatchObject({ OrganizationId: sample.store.organizationId });
    expect(response.status).toBe(200);
  } finally {
    await sample.stop();
    rmSync(folder, { recursive: true });
  }
});
