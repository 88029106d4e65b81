import type { MonitorClient } from './telemetry.ts';

let client: MonitorClient | undefined;

/** The Application Insights client; undefined while the app runs without it. */
export const monitor = (): MonitorClient | undefined => client;

/**
 * Starts Application Insights where `APPLICATIONINSIGHTS_CONNECTION_STRING` is set. To be awaited before anything
 * else loads: the SDK instruments modules as they are loaded (learn.microsoft.com: Enable Azure Monitor
 * OpenTelemetry). Loaded lazily, since it costs a second that local runs need not pay.
 */
export async function startMonitor(env: Record<string, string | undefined> = process.env): Promise<void> {
  const connectionString = env.APPLICATIONINSIGHTS_CONNECTION_STRING;
  if (connectionString === undefined || connectionString.trim() === '') return;
  const { default: applicationInsights } = await import('applicationinsights');
  // Console lines reach the monitor through the host already; collected here they would be there twice.
  applicationInsights.setup(connectionString).setAutoCollectConsole(false).start();
  client = applicationInsights.defaultClient;
}
