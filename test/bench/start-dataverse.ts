import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const root = resolve(import.meta.dirname, '../..');

/** A sample Dataverse in a process of its own. @param metadata a file with the `$metadata` document */
export function startDataverse(
  rows: string,
  metadata: string,
  tables: readonly string[],
): Promise<{ url: string; stop(): void }> {
  const child = spawn(
    process.execPath,
    [
      '--max-old-space-size=6000',
      join(root, 'dist/local/sample-dataverse/main.js'),
      ...['--rows', rows, '--metadata', metadata, '--tables', tables.join(',')],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The sample Dataverse exited with ${code}`)));
    createInterface(child.stdout).once('line', (line) => {
      resolve({ url: (JSON.parse(line) as { url: string }).url, stop: () => void child.kill() });
    });
  });
}
