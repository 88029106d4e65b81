import { expect, test } from 'vitest';
import { helpText, parseStartOptions } from '../../src/local/start-options.ts';

test('without options the sample Dataverse is synced until Ctrl-C', () => {
  expect(parseStartOptions([])).toEqual({
    ...{ once: false, check: false, quiet: false, json: false, rows: 20_000, target: 'sqlite' },
  });
  expect(parseStartOptions(['--check'])).toMatchObject({ check: true, once: true });
});

test('every option is parsed and is in the help', () => {
  const args = ['--once', '--quiet', '--json', '--port', '0', '--rows', '7'];
  const more = ['--entities', 'e.json', '--out', 'o.db', '--data', 'd', '--metadata', 'm.xml'];
  expect(parseStartOptions([...args, ...more])).toEqual({
    once: true,
    check: false,
    quiet: true,
    json: true,
    port: 0,
    rows: 7,
    target: 'sqlite',
    entities: 'e.json',
    out: 'o.db',
    data: 'd',
    metadata: 'm.xml',
  });
  const options = [...args, ...more, '--dataverse', '--check', '--help'].filter((arg) =>
    arg.startsWith('--'),
  );
  expect(options.filter((option) => !helpText.includes(`  ${option} `))).toEqual([]);
  expect(parseStartOptions(['--help'])).toBe('help');
});

test('--target is sqlite or postgres, which has no file to copy', () => {
  expect(parseStartOptions(['--target', 'postgres'])).toMatchObject({ target: 'postgres' });
  expect(helpText).toContain('  --target ');
  expect(() => parseStartOptions(['--target', 'mysql'])).toThrow(
    '--target takes sqlite or postgres, not "mysql"',
  );
  expect(() => parseStartOptions(['--target', 'postgres', '--out', 'o.db'])).toThrow('there is none');
});

test('--environments takes names, for sample environments beside the first one', () => {
  expect(parseStartOptions(['--environments', 'sales, service-eu'])).toMatchObject({
    environments: ['sales', 'service-eu'],
  });
  expect(helpText).toContain('  --environments ');
  for (const wrong of ['', 'Sales', 'sales,', 'sales,sales', 'default', 'a_b'])
    expect(() => parseStartOptions(['--environments', wrong])).toThrow('--environments takes');
  for (const other of [['--json'], ['--out', 'o.db'], ['--dataverse', 'https://a.crm.dynamics.com']])
    expect(() => parseStartOptions(['--environments', 'sales', ...other])).toThrow('--environments');
});

test('--live is parsed and is in the help', () => {
  expect(parseStartOptions(['--live'])).toMatchObject({ live: true, once: false });
  expect(helpText).toContain('  --live ');
});

test('--reread takes tables, or all of them', () => {
  expect(parseStartOptions(['--reread', 'contact', '--reread', 'lead'])).toMatchObject({
    reread: ['contact', 'lead'],
  });
  expect(parseStartOptions(['--reread', 'contact', '--reread', 'all'])).toMatchObject({ reread: 'all' });
  expect(helpText).toContain('  --reread TABLE ');
});

test.each([
  ['https://contoso.crm.dynamics.com/main.aspx', 'https://contoso.crm.dynamics.com'],
  ['http://localhost:8080', 'http://localhost:8080'],
  ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
])('--dataverse %s gives %s', (address, origin) => {
  expect(parseStartOptions(['--dataverse', address])).toMatchObject({ dataverse: origin });
});

test.each([
  [['--unknown'], "Unknown option '--unknown'"],
  [['stray'], "Unexpected argument 'stray'"],
  [['--port', '70000'], '--port takes a whole number up to 65535'],
  [['--rows', '-1'], 'rows'],
  [['--rows', '1e3'], '--rows takes a whole number'],
  [['--dataverse', 'http://contoso.crm.dynamics.com'], 'http:// for loopback addresses only'],
  [['--live', '--once'], '--live applies to the sample Dataverse'],
  [['--live', '--dataverse', 'https://contoso.crm.dynamics.com'], '--live applies to'],
  [['--dataverse', 'contoso'], '--dataverse takes a URL'],
  [['--dataverse', 'https://contoso.crm.dynamics.com', '--rows', '1'], 'apply to the sample Dataverse only'],
])('%j is rejected', (args, message) => {
  expect(() => parseStartOptions(args)).toThrow(message);
});
