import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of Linux, which counts in hundredths of a second. */
const ticks = 100;

/**
 * The processor seconds of this process and of a PostgreSQL server on this machine: busy machines change them less than the
 * time that passes. Those of this process alone where there is no `/proc`.
 * @param folder of the server
 */
export function processorSeconds(folder: string): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + serverSeconds(folder);
}

function serverSeconds(folder: string): number {
  try {
    const server = readFileSync(join(folder, 'data/postmaster.pid'), 'utf8').split('\n')[0]!;
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    // The server counts those of its processes that have ended.
    return all.reduce((sum, pid) => {
      const found = statOf(pid);
      if (found === undefined) return sum;
      const [parent, user, system, endedUser, endedSystem] = found;
      if (pid === server) return sum + (user + system + endedUser + endedSystem) / ticks;
      return String(parent) === server ? sum + (user + system) / ticks : sum;
    }, 0);
  } catch {
    return 0;
  }
}

/** The parent of a process and its times (man7.org: proc_pid_stat); undefined if it has ended. */
function statOf(pid: string): [number, number, number, number, number] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return [fields[1], ...fields.slice(11, 15)].map(Number) as [number, number, number, number, number];
  } catch {
    return undefined;
  }
}
