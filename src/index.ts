/** Loaded before every function: what has to be in place first. */
import { startMonitor } from './telemetry/monitor.ts';

await startMonitor();
