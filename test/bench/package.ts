import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPackage } from '../../scripts/package/build-package.ts';
import { type Measurement, measure } from './measure.ts';

/**
 * Measures the deployment package: its size, and how long a new process takes to register all functions. The reference is
 * the same for the unbundled build with its node_modules, in the same rounds.
 */
export async function benchPackage(root: string, rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-package-'));
  try {
    const built = await buildPackage(root, join(folder, 'app'));
    const load = (path: string) => measure(join(import.meta.dirname, 'load-app.ts'), [path]);
    const references: Measurement[] = [];
    const packages: Measurement[] = [];
    for (let round = 0; round <= rounds; round++) {
      const reference = await load(root);
      const own = await load(built.folder);
      // The first round brings the files into the cache of the operating system.
      if (round === 0) continue;
      references.push(reference);
      packages.push(own);
    }
    const line = (name: string, runs: Measurement[]) => ({
      '': name,
      functions: Number(runs[0]!.result['functions']),
      'load ms': (median(runs.map(secondsOf)) * 1000).toFixed(0),
      'load / reference': median(runs.map((run, at) => secondsOf(run) / secondsOf(references[at]!))).toFixed(
        2,
      ),
      'peak memory': `${(Math.max(...runs.map((run) => run.peakBytes)) / 1e6).toFixed(0)} MB`,
    });
    console.table([line('dist and node_modules', references), line('package', packages)]);
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
    console.log(`package: ${megabytes(built.bytes)}, zipped ${megabytes(built.zippedBytes)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const secondsOf = (run: Measurement): number => Number(run.result['seconds']);
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
