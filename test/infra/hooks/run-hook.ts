import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { compileCache } from '../../compile-cache.ts';

const hooks = resolve(import.meta.dirname, '../../../infra/hooks');

/**
 * What the stand-in for az answers, by the beginning of its arguments; `!` at the beginning of an answer is a failure.
 * Those for npm begin with `npm`: it succeeds, because the project is built before the tests; `{ npm: 'absent' }` leaves
 * it out.
 */
export type AzAnswers = Record<string, string>;

/** A stand-in for cmd.exe: writes WINDOWS_SHELL_SAYS, and fails with the exit code 1. */
export const windowsShell = join(import.meta.dirname, 'windows-shell.sh');

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Tells each call to a file, and answers. A shell script: starting Node.js for each call took most of the time. */
function standIn(program: 'az' | 'npm', folder: string, answers: AzAnswers): string {
  const args = program === 'npm' ? 'npm $*' : '$*';
  const cases = Object.entries(answers).map(([start, answer]) => {
    const reply = answer.startsWith('!')
      ? `printf '%s\\n' ${quoted(answer.slice(1))} >&2; exit 1`
      : `printf '%s\\n' ${quoted(answer)}`;
    return `  ${quoted(start)}*) ${reply} ;;`;
  });
  const otherwise = program === 'npm' ? '  *) ;;' : '  *) echo "ERROR: no answer for $*" >&2; exit 1 ;;';
  return `#!/bin/sh
echo "${args}" >> ${quoted(join(folder, 'calls.txt'))}
case "${args}" in
${[...cases, otherwise].join('\n')}
esac
`;
}

/** Runs a hook as azd does, with a stand-in for az on the path, and returns what it prints. */
export async function runHook(
  name: string,
  environment: Record<string, string>,
  answers: AzAnswers | null,
): Promise<{ status: number; out: string; calls: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'hook-'));
  try {
    writeFileSync(join(folder, 'calls.txt'), '');
    for (const program of ['az', 'npm'] as const) {
      if (program === 'az' ? answers === null : answers?.['npm'] === 'absent') continue;
      writeFileSync(join(folder, program), standIn(program, folder, answers ?? {}), { mode: 0o755 });
    }
    const path =
      answers === null ? dirname(process.execPath) : `${folder}${delimiter}${dirname(process.execPath)}`;
    const result = await new Promise<{ status: number; out: string }>((done) => {
      const env = {
        ...compileCache,
        PATH: path,
        SYNC_HOOK_WAIT_SECONDS: '0.3',
        SYNC_HOOK_INTERVAL_SECONDS: '0.01',
        ...environment,
      };
      execFile(process.execPath, [join(hooks, `${name}.mjs`)], { env }, (error, stdout, stderr) => {
        done({ status: error === null ? 0 : Number(error.code), out: stdout + stderr });
      });
    });
    const calls = readFileSync(join(folder, 'calls.txt'), 'utf8').split('\n').slice(0, -1);
    return { ...result, calls };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
