import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { firstTables } from '../../src/local/sample-tables.ts';
import { sharedAbsent, sharedPath } from '../shared.ts';

const documents = sharedPath('dataverse/metadata');

test('the first 20 tables with modifiedon are chosen from a real document', async (context) => {
  if (documents === undefined) return context.skip(sharedAbsent);
  const file = join(
    documents,
    readdirSync(documents)
      .filter((name) => name.endsWith('.xml'))
      .sort()[0]!,
  );
  const tables = await firstTables(file);
  expect(new Set(tables).size).toBe(20);
  const text = readFileSync(file, 'utf8');
  for (const table of tables)
    expect(text).toMatch(new RegExp(`<EntitySet Name="\\w+" EntityType="[\\w.]+\\.${table}"`));
});

test('the error names an absent document', async () => {
  await expect(firstTables('/nowhere/metadata.xml')).rejects.toMatchObject({
    message: expect.stringContaining('/nowhere/metadata.xml'),
    hint: '--metadata takes the path of a $metadata document.',
  });
});
