import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/command-list.ts';
import { completionScript, optionsOf } from '../../src/cli/completion/completion.ts';

const all = await Promise.all(
  Object.entries(commands).map(async ([name, { summary, help }]) => ({
    name,
    summary,
    options: optionsOf(await help()),
  })),
);

/** What bash would propose. */
async function complete(...words: string[]): Promise<string[]> {
  const script = `${completionScript('bash', all)}
    COMP_WORDS=(dataverse-sqlite-sync ${words.map((word) => `'${word}'`).join(' ')})
    COMP_CWORD=${words.length}
    _dataverse_sqlite_sync
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', script]);
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion', () => {
  it('knows commands and their options', async () => {
    expect(await complete('')).toEqual([...Object.keys(commands), 'help']);
    expect(await complete('s')).toEqual(['sync']);
    expect(await complete('sync', '--re')).toEqual(['--reread']);
    expect(await complete('query', '--')).toEqual(
      expect.arrayContaining(['--format', '--max-rows', '--sign-in', '--help']),
    );
    expect(await complete('sink', '--')).toEqual([]);
  });

  it('is there for other shells, too', () => {
    for (const shell of ['zsh', 'fish', 'powershell']) {
      const script = completionScript(shell, all);
      for (const { name } of all) expect(script, shell).toContain(name);
      expect(script, shell).toContain(shell === 'fish' ? '-l reread' : '--reread');
    }
    expect(() => completionScript('cmd', all)).toThrow('There is no completion for cmd.');
  });

  it('finds every option that a command takes', () => {
    const sync = all.find(({ name }) => name === 'sync')!;
    for (const option of ['--dataverse', '--tables', '--entities', '--out', '--drop', '--json', '--quiet']) {
      expect(sync.options).toContain(option);
    }
  });
});
