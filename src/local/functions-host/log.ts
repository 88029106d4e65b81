/** The log levels of the host, from the lowest to `none`. */
const LEVELS = ['trace', 'debug', 'information', 'warning', 'error', 'critical', 'none'] as const;

export type LogLevel = (typeof LEVELS)[number];

export interface LogEntry {
  level: LogLevel;
  /** `Function.<name>.User` for the app's entries, `Function.<name>` and `Host.*` for the host's. */
  category: string;
  message: string;
  invocationId?: string;
}

export type Log = (entry: LogEntry) => void;

/**
 * Passes on the entries that `logging.logLevel` of host.json allows. The longest matching category prefix decides,
 * then `default`, then Information.
 */
export function filteredLog(logLevels: Readonly<Record<string, string>>, log: Log): Log {
  const thresholds = new Map<string, number>();
  return (entry) => {
    let threshold = thresholds.get(entry.category);
    if (threshold === undefined) {
      threshold = LEVELS.indexOf(levelOf(entry.category, logLevels));
      thresholds.set(entry.category, threshold);
    }
    if (LEVELS.indexOf(entry.level) >= threshold && entry.level !== 'none') log(entry);
  };
}

function levelOf(category: string, logLevels: Readonly<Record<string, string>>): LogLevel {
  const names = Object.keys(logLevels)
    .filter((name) => category === name || category.startsWith(`${name}.`))
    .sort((a, b) => b.length - a.length);
  const level = (logLevels[names[0] ?? 'default'] ?? 'information').toLowerCase();
  return LEVELS.find((known) => known === level) ?? 'information';
}
