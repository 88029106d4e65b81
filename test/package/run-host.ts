/** Runs a deployment package in the functions host and prints its address as JSON. Settings are in the environment. */
import { startFunctionsHost } from '../../src/local/functions-host/host.ts';

const { url, functions, functionKey } = await startFunctionsHost({
  appRoot: process.argv[2]!,
  settings: {},
  connectionString: process.env['AzureWebJobsStorage']!,
  log: ({ level, message }) => console.error(level, message),
});
console.log(JSON.stringify({ url, functions: functions.map(({ name }) => name), functionKey }));
