import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTables } from '../../src/cli/types/read-tables.ts';
import type { TypedColumn, TypedTable } from '../../src/cli/types/types-model.ts';
import { writeTypes } from '../../src/cli/types/write-types.ts';
import { createDataverseClient, type DataverseClient } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

const root = resolve(import.meta.dirname, '../..');
const both = { url: 'https://contoso.crm.dynamics.com', client: true, mirror: true };

let dataverse: SampleDataverse;
let client: DataverseClient;
let folder: string;
beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 50 });
  client = createDataverseClient({
    url: dataverse.url,
    credential: createCredential({ accessToken: 'test' }),
  });
  folder = mkdtempSync(join(tmpdir(), 'types-'));
});
afterAll(async () => {
  await dataverse.stop();
  rmSync(folder, { recursive: true });
});

/** Compiles a module. The client's names are declared as they are used. @returns the compiler's messages */
function compile(...files: Record<string, string>[]): string {
  const all = {
    'package.json': '{ "type": "module" }',
    'dataverse.d.ts': `declare module 'dataverse-sqlite-sync/dataverse' {
      export class Reference { readonly entitySet: string }
      export const noReference: unique symbol;
      export function defineTable<R extends object, W extends object>(names: object): { ' types'?: { read: R; write: W } };
    }`,
    ...Object.assign({}, ...files),
  };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text as string);
  const names = Object.keys(all).filter((name) => name.endsWith('.ts'));
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--moduleResolution',
    'nodenext',
  ];
  const { stdout } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...names],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  return stdout;
}

describe('types of tables', () => {
  it('have columns, choices by label, and lookups with their targets', async () => {
    const { tables, warnings } = await readTables(
      client,
      ['account', 'contact', 'accountleads', 'new_ledgerentry'].map((name) => ({ name })),
    );
    expect(warnings).toEqual([]);
    const text = writeTypes(tables, both);
    expect(writeTypes(tables, both)).toBe(text);
    const program = `
      import { accounts, AccountStatecode, type Account, type AccountRow, type AccountWrite, type Mirror } from './types.js';
      const active: 0 = AccountStatecode.Active;
      const account: Pick<Account, 'accountid' | 'name' | 'statecode'> = { accountid: 'a', name: null, statecode: active };
      const row: Pick<AccountRow, 'creditonhold' | 'versionnumber'> = { creditonhold: 1, versionnumber: 1n };
      const write: AccountWrite = { name: 'n', statecode: AccountStatecode.Inactive };
      const mirrored: Mirror['accounts']['accountid'] = 'a';
      // @ts-expect-error no such choice
      const wrong: Account['statecode'] = 7;
      // @ts-expect-error the id of a lookup is written by its navigation property
      const lookup: AccountWrite = { _primarycontactid_value: 'x' };
      // @ts-expect-error the Web API has booleans, the mirror has 0 and 1
      const bool: Account['creditonhold'] = 1;
      void [accounts, account, row, write, mirrored, wrong, lookup, bool];`;
    expect(compile({ 'types.ts': text, 'program.ts': program })).toBe('');
    expect(text).toMatch(/systemuser, team\.[ */\n]+_ownerid_value: string \| null;/);
    expect(text).toMatch(/primarycontactid\?: Reference \| typeof noReference;/);
  });

  it('have decimals as texts where the mirror has', async () => {
    const { tables } = await readTables(client, [{ name: 'new_ledgerentry', decimals: 'text' }]);
    const text = writeTypes(tables, both);
    expect(text).toMatch(/interface NewLedgerentry \{[^}]*new_amount: string \| null;/);
    expect(text).toMatch(/interface NewLedgerentry \{[^}]*new_ratio: number \| null;/);
    expect(text).toMatch(/interface NewLedgerentryWrite \{[^}]*new_amount\?: string \| number \| null;/);
    expect(text).toMatch(/defineTable<NewLedgerentry, [^}]*decimals: \[[^\]]*"new_amount"/);
    expect(text).not.toMatch(/decimals: \[[^\]]*"new_ratio"/);
    expect(text).toMatch(/interface NewLedgerentryRow \{[^}]*new_amount: string \| null;/);
    expect(text).toMatch(/interface NewLedgerentryRow \{[^}]*new_ratio: number \| null;/);
  });

  it('can be those of the client or of the mirror alone', async () => {
    const { tables } = await readTables(client, [{ name: 'account' }]);
    const mirror = writeTypes(tables, { ...both, client: false });
    expect(mirror).not.toContain('import ');
    expect(mirror).toContain('export interface Mirror');
    expect(writeTypes(tables, { ...both, mirror: false })).not.toContain('Mirror');
    expect(
      compile({
        'types.ts': mirror,
        'program.ts': "import type { Mirror } from './types.js'; let x: Mirror; void x!;",
      }),
    ).toBe('');
  });

  it('survive whatever texts Dataverse has', () => {
    const column = (property: string, more: Partial<TypedColumn> = {}): TypedColumn => ({
      ...{ property, name: property, edmType: 'Edm.Int32', displayName: undefined, description: undefined },
      ...{ choices: undefined, targets: [], isKey: false, isWritable: true, ...more },
    });
    const table = (logicalName: string, columns: TypedColumn[]): TypedTable => ({
      ...{ logicalName, name: `${logicalName}s`, entitySet: `${logicalName}s`, primaryId: 'id', lookups: [] },
      decimals: 'real',
      ...{ displayName: 'Evil */ export const x = 1; /*', description: 'a\u2028b\n// c', columns },
    });
    const labels = ['__proto__', 'constructor', 'a"b', 'same', 'same', 'line\nbreak', '', '日本', '*/'];
    const choices = labels.map((label, value) => ({ value, label }));
    const tables = [
      table('date', [column('state', { choices }), column('a-b', { displayName: '*/ alert(1)' })]),
      table('new_date', [column('class'), column('__proto__')]),
      table('new__date', [column('1st', { choices: [{ value: -1, label: 'Minus' }] })]),
      table('mirror', [column('id', { isKey: true, edmType: 'Edm.Guid' })]),
      table('reference', []),
      { ...table('keyword', []), entitySet: 'delete' },
      table('labels', [
        column('x', { choices: [1, 2, 3].map((value) => ({ value, label: value === 3 ? 'A (1)' : 'A' })) }),
      ]),
    ];
    const text = writeTypes(tables, both);
    expect(
      compile({ 'types.ts': text, 'program.ts': "import * as types from './types.js'; void types;" }),
    ).toBe('');
    expect(text).not.toMatch(/^export const x/m);
  });

  it('name a table that does not exist', async () => {
    await expect(readTables(client, [{ name: 'acount' }])).rejects.toThrow('did you mean account?');
  });
});
