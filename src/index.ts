/** The host loads this file before the functions. */
import { startMonitor } from './telemetry/monitor.ts';

await startMonitor();
