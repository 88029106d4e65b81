import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Measurement {
  /** The last line of standard output, which is JSON. */
  result: Record<string, unknown>;
  wallSeconds: number;
  cpuSeconds: number;
  peakBytes: number;
}

/** Runs a script in its own process and measures the process. @throws Error if the script fails */
export async function measure(
  script: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Measurement> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-usage-'));
  const usage = join(folder, 'usage.json');
  const began = performance.now();
  const child = spawn(
    process.execPath,
    ['--import', join(import.meta.dirname, 'report-usage.ts'), script, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env, BENCH_USAGE: usage },
    },
  );
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const wallSeconds = (performance.now() - began) / 1000;
  if (code !== 0)
    throw new Error(`${script} exited with ${code}: ${errors.slice(-2000)}${output.slice(-2000)}`);
  const { cpuSeconds, peakBytes } = JSON.parse(readFileSync(usage, 'utf8')) as Measurement;
  rmSync(folder, { recursive: true });
  return { result: JSON.parse(output.trim().split('\n').at(-1)!), wallSeconds, cpuSeconds, peakBytes };
}
