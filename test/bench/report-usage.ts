/** Preloaded into a measured process: writes its usage, including worker threads, to the file in `BENCH_USAGE`. */
import { readFileSync, writeFileSync } from 'node:fs';

const file = process.env.BENCH_USAGE;
if (file !== undefined) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
    writeFileSync(file, JSON.stringify({ cpuSeconds, peakBytes: (ownPeak() ?? maxRSS) * 1024 }));
  });
}

/** In kibibytes. The figure of getrusage begins with the memory of the parent, which Linux copies at a fork. */
function ownPeak(): number | undefined {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return peak === undefined ? undefined : Number(peak);
  } catch {
    return undefined;
  }
}
