/** The host loads this file before the functions. */
import { keepLoopbackDirect } from './config/proxy-environment.ts';
import { redactSdkLog } from './telemetry/sdk-log.ts';

keepLoopbackDirect();
redactSdkLog();
