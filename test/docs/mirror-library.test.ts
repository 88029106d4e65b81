import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings } from '../../src/config/settings.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { blocks, read, root } from './pages.ts';

const run = promisify(execFile);

test('the examples compile and run', async () => {
  const sample = await startSampleDataverse({ rows: 300 });
  const folder = await mkdtemp(join(root, 'test/docs/.mirror-'));
  try {
    const settings = readSettings({
      DATAVERSE_URL: sample.url,
      DATAVERSE_ACCESS_TOKEN: 'test',
      AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    });
    const quiet = { log: () => undefined, event: () => undefined, metric: () => undefined };
    const tables = parseEntities(['account']);
    const paths = localPaths(join(folder, 'my.db'));
    const sync = await LocalSync.open(settings, () => tables, paths, quiet);
    await sync.run({}, () => undefined);
    const metadata = await fetch(`${sample.url}/api/data/v9.2/$metadata`, {
      headers: { authorization: 'Bearer test' },
    });
    await writeFile(join(folder, 'metadata.xml'), await metadata.text());

    const programs = blocks('ts', read('docs/mirror-library.md'));
    expect(programs).toHaveLength(2);
    for (const [n, program] of programs.entries()) {
      const text = program.replace(/'dataverse-sqlite-sync\/(\w+)'/, "'../../../src/library/$1.ts'");
      await writeFile(join(folder, `program-${n}.ts`), text);
    }
    const config = { extends: '../../../tsconfig.json', include: ['*.ts'] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    const compiled = await run(process.execPath, [tsc, '-p', folder]).catch((error) => error);
    expect(compiled.stdout).toBe('');
    const outputs = await Promise.all(
      programs.map((_, n) => run(process.execPath, [`program-${n}.ts`], { cwd: folder })),
    );
    expect(outputs.map(({ stderr }) => stderr)).toEqual(['', '']);
    expect(outputs[0]!.stdout).toMatch(/\naccounts \d+ 20/);
    expect(outputs[1]!.stdout).toContain('CREATE TABLE "contacts"');
  } finally {
    await rm(folder, { recursive: true });
    await sample.stop();
  }
});
