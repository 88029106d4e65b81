/** The host loads this file before the functions. */
import { keepLoopbackDirect } from './config/proxy-environment.ts';
import { startMonitor } from './telemetry/monitor.ts';

keepLoopbackDirect();
await startMonitor();
