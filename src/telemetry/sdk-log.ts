import { format } from 'node:util';
import { AzureLogger } from '@azure/logger';
import { safeText } from '../safe-text.ts';

/**
 * Removes secrets from what the Azure SDK writes to standard error where `AZURE_LOG_LEVEL` asks for it. The SDK hides
 * headers and queries, but at level verbose it prints requests whole, with the user and password of a proxy.
 */
export function redactSdkLog(): void {
  AzureLogger.log = (...parts) => {
    process.stderr.write(`${safeText(format(...parts))}\n`);
  };
}
