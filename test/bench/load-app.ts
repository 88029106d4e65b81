/** Loads the app in a folder as the worker does, and prints how many functions it registers and how long that took. */
import { installCoreApi } from '../../src/local/functions-host/core-api.ts';
import { loadApp } from '../../src/local/functions-host/load-app.ts';

const app = installCoreApi(() => undefined);
const began = performance.now();
await loadApp(process.argv[2]!);
console.log(JSON.stringify({ functions: app.functions.size, seconds: (performance.now() - began) / 1000 }));
