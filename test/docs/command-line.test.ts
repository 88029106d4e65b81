import { expect, test } from 'vitest';
import { commands } from '../../src/cli/command-list.ts';
import { overview } from '../../src/cli/run-cli.ts';
import { blocks, read, section } from './pages.ts';

const page = 'docs/command-line.md';

test('the page of the command line has its help texts', async () => {
  expect(blocks('text', read(page))[0]).toBe(`${overview(commands)}\n`);
  expect(blocks('text', section(page, 'Sync'))).toEqual([`${await commands['sync']!.help()}\n`]);
  expect(blocks('text', section(page, 'Check'))).toEqual([`${await commands['check']!.help()}\n`]);
  expect(blocks('text', section(page, 'Query'))).toEqual([`${await commands['query']!.help()}\n`]);
  expect(blocks('text', section(page, 'Verify'))).toEqual([`${await commands['verify']!.help()}\n`]);
  expect(blocks('text', section(page, 'Types'))).toEqual([`${await commands['types']!.help()}\n`]);
  expect(blocks('text', section(page, 'Assistants'))).toEqual([`${await commands['mcp']!.help()}\n`]);
});
