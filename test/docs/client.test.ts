import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import * as library from '../../src/library/dataverse.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { blocks, firstCells, read, root, section } from './pages.ts';

const page = 'docs/dataverse-client.md';
const run = promisify(execFile);

test('the examples are one program that compiles, and runs against a sample Dataverse', async () => {
  const sample = await startSampleDataverse({ rows: 300 });
  const [user] = sample.store.truth('systemuser').values();
  // Inside of the checkout, for the compiler's settings and types.
  const folder = await mkdtemp(join(root, 'test/docs/.client-'));
  try {
    const imports: string[] = [];
    const [first, ...others] = blocks('ts', read(page)).map((block) =>
      block.replaceAll(/^import .*;\n/gm, (line) => {
        imports.push(
          line.replace("'dataverse-sqlite-sync/dataverse'", "'../../../src/library/dataverse.ts'"),
        );
        return '';
      }),
    );
    expect(others.length).toBeGreaterThan(10);
    const names = [...new Set(imports.flatMap((line) => namesIn(line)))];
    const text = [
      `import { ${names.join(', ')} } from '../../../src/library/dataverse.ts';\n`,
      first,
      ...others.map((block) => `{\n${block}}\n`),
    ]
      .join('')
      .replaceAll('https://contoso.crm.dynamics.com', sample.url)
      .replaceAll('createCredential()', "createCredential({ accessToken: 'token-of-the-documentation' })")
      .replaceAll('11111111-0000-4000-8000-000000000000', String(user!['azureactivedirectoryobjectid']));
    const file = join(folder, 'program.ts');
    await writeFile(file, text);
    const config = { extends: '../../../tsconfig.json', files: ['program.ts'], include: [] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    const compiled = await run(process.execPath, [tsc, '-p', folder]).catch((error) => error);
    expect(compiled.stdout).toBe('');
    const { stderr, stdout } = await run(process.execPath, [file]);
    expect(stderr).toBe('');
    expect(stdout).toContain('2 created\nrow 2:');
  } finally {
    await rm(folder, { recursive: true });
    await sample.stop();
  }
});

/** The names in an import; `type` goes with a name that is a type. */
function namesIn(line: string): string[] {
  const isType = line.startsWith('import type');
  return /\{(.*)\}/
    .exec(line)![1]!
    .split(',')
    .map((name) => `${isType ? 'type ' : ''}${name.trim()}`);
}

test('the page names every error class', () => {
  const named = firstCells(section(page, 'Errors')).flatMap((cell) => cell.split('`, `'));
  const classes = Object.entries(library)
    .filter(([, value]) => Object.prototype.isPrototypeOf.call(library.DataverseError, value))
    .map(([name]) => name);
  expect(named.sort()).toEqual(classes.sort());
});
