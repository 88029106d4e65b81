import { invocationSink } from './invocation-log.ts';
import { logLine, type MonitorClient } from './telemetry.ts';

/** Loads the SDK and starts it. */
export type LoadMonitor = (connectionString: string) => Promise<MonitorClient>;

/**
 * Sends events to Application Insights. The SDK takes two seconds of processor time and 70 MB to load, so the first event
 * loads it: an instance that answers its first request, and has nothing to report, does without.
 *
 * The SDK patches modules while CommonJS code loads them. Measured with applicationinsights 3.16, loaded before all other
 * modules: `https.request`, which all calls to Dataverse and Azure use, is as it was after all functions have loaded. So
 * loading it later loses no dependencies.
 */
class LazyMonitor implements MonitorClient {
  readonly #load: () => Promise<MonitorClient | undefined>;
  #client: Promise<MonitorClient | undefined> | undefined;

  constructor(load: () => Promise<MonitorClient | undefined>) {
    this.#load = load;
  }

  trackEvent(event: Parameters<MonitorClient['trackEvent']>[0]): void {
    this.#client ??= this.#load();
    // In order: all wait for one promise.
    void this.#client.then((client) => client?.trackEvent(event));
  }
}

/**
 * The client of Application Insights; undefined if `APPLICATIONINSIGHTS_CONNECTION_STRING` is not set. It loads nothing
 * before its first event. If the SDK cannot be loaded, that is logged once, and events are dropped.
 */
export function createMonitor(
  env: Record<string, string | undefined> = process.env,
  load: LoadMonitor = loadMonitor,
): MonitorClient | undefined {
  const connectionString = env['APPLICATIONINSIGHTS_CONNECTION_STRING']?.trim() ?? '';
  if (connectionString === '') return undefined;
  return new LazyMonitor(async () => {
    const log = invocationSink();
    try {
      return await load(connectionString);
    } catch (error) {
      // The message can quote the connection string.
      const properties = {
        kind: (error as Error)?.name,
        hint: 'Check APPLICATIONINSIGHTS_CONNECTION_STRING. Restart the app after a change.',
      };
      log('error', logLine('Application Insights cannot be started. Events are not sent.', properties));
      return undefined;
    }
  });
}

let client: { monitor: MonitorClient | undefined } | undefined;

/** The client of this process. */
export function monitor(): MonitorClient | undefined {
  client ??= { monitor: createMonitor() };
  return client.monitor;
}

async function loadMonitor(connectionString: string): Promise<MonitorClient> {
  const { default: applicationInsights } = await import('applicationinsights');
  // The Functions host sends console lines to the monitor. If the SDK collected them too, each would appear twice.
  applicationInsights.setup(connectionString).setAutoCollectConsole(false).start();
  return applicationInsights.defaultClient;
}
