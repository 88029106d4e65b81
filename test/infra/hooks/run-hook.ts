import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

const hooks = resolve(import.meta.dirname, '../../../infra/hooks');

/**
 * What the stand-in for az answers, by the beginning of its arguments; `!` at the beginning of an answer is a failure.
 * Those for npm begin with `npm`: it succeeds, because the project is built before the tests; `{ npm: 'absent' }` leaves
 * it out.
 */
export type AzAnswers = Record<string, string>;

/** Tells each call to a file, and answers from another one. */
const standIn = `#!${process.execPath}
const { appendFileSync, readFileSync } = require('node:fs');
const isNpm = process.argv[1].endsWith('npm');
const args = [...(isNpm ? ['npm'] : []), ...process.argv.slice(2)].join(' ');
appendFileSync(__dirname + '/calls.txt', args + '\\n');
const answers = JSON.parse(readFileSync(__dirname + '/answers.json', 'utf8'));
const [, answer = isNpm ? '' : undefined] =
  Object.entries(answers).find(([start]) => args.startsWith(start)) ?? [];
if (answer === undefined || answer.startsWith('!')) {
  console.error((answer ?? '!ERROR: no answer for ' + args).slice(1));
  process.exit(1);
}
console.log(answer);
`;

/** Runs a hook as azd does, with a stand-in for az on the path, and returns what it prints. */
export async function runHook(
  name: string,
  environment: Record<string, string>,
  answers: AzAnswers | null,
): Promise<{ status: number; out: string; calls: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'hook-'));
  try {
    writeFileSync(join(folder, 'calls.txt'), '');
    writeFileSync(join(folder, 'answers.json'), JSON.stringify(answers ?? {}));
    if (answers !== null) writeFileSync(join(folder, 'az'), standIn, { mode: 0o755 });
    if (answers?.['npm'] !== 'absent') writeFileSync(join(folder, 'npm'), standIn, { mode: 0o755 });
    const path =
      answers === null ? dirname(process.execPath) : `${folder}${delimiter}${dirname(process.execPath)}`;
    const result = await new Promise<{ status: number; out: string }>((done) => {
      const env = {
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
