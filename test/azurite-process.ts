/** The command `azurite`, in half of the time that it takes to start. */
import { createRequire } from 'node:module';
import { skipTelemetry } from '../src/local/emulators/skip-telemetry.ts';

const require = createRequire(import.meta.url);
skipTelemetry(require);
require('azurite/dist/src/azurite.js');
