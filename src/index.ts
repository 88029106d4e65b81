/** The host loads this file before the functions. */
import { app } from '@azure/functions';
import { appEnvironments } from './config/environments/read-environments.ts';
import { invalidSettings } from './config/invalid-settings.ts';
import { keepLoopbackDirect } from './config/proxy-environment.ts';
import { safeText } from './safe-text.ts';
import { monitor } from './telemetry/monitor.ts';
import { redactSdkLog } from './telemetry/sdk-log.ts';

keepLoopbackDirect();
redactSdkLog();

// Nothing here may throw: the functions would not be registered, and GET /api/health could not say why.
app.hook.appStart(() => {
  for (const { name, settings } of appEnvironments()) {
    const whose = name === undefined ? '' : `Environment ${name}: `;
    for (const fault of invalidSettings(settings).faults) console.error(safeText(`${whose}${fault}`));
  }
});

// What waits to be sent would be lost with the process.
app.hook.appTerminate(async () => monitor()?.flush());
