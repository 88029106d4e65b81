import type { MonitorClient } from './telemetry.ts';

let client: MonitorClient | undefined;

/** The client of Application Insights; undefined while it is not configured. */
export const monitor = (): MonitorClient | undefined => client;

/**
 * Starts Application Insights if `APPLICATIONINSIGHTS_CONNECTION_STRING` is set. Await it before any other module
 * loads: the SDK instruments modules while they load (learn.microsoft.com: Enable Azure Monitor OpenTelemetry).
 * The SDK is imported here because it takes a second to load, which local runs do not need.
 */
export async function startMonitor(env: Record<string, string | undefined> = process.env): Promise<void> {
  const connectionString = env.APPLICATIONINSIGHTS_CONNECTION_STRING;
  if (connectionString === undefined || connectionString.trim() === '') return;
  const { default: applicationInsights } = await import('applicationinsights');
  // The Functions host sends console lines to the monitor. If the SDK collected them too, each would appear twice.
  applicationInsights.setup(connectionString).setAutoCollectConsole(false).start();
  client = applicationInsights.defaultClient;
}
