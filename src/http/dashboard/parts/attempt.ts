import { describeFailure, describeForLog, SyncError } from '../../../errors.ts';
import type { SyncServices } from '../../../sync/documents/services.ts';
import { type Html, html } from '../../pages/html.ts';

/**
 * Reads something that a page can do without. If it cannot be read, the page says so in its place and shows the rest.
 * @param what begins the sentence: `The changes of the schema`
 * @returns what was read, or the paragraph that says why it is not there
 */
export async function attempt<T>(
  { telemetry }: Pick<SyncServices, 'telemetry'>,
  what: string,
  read: () => Promise<T>,
): Promise<{ value: T; fault?: undefined } | { value?: undefined; fault: Html }> {
  try {
    return { value: await read() };
  } catch (error) {
    telemetry.log(
      error instanceof SyncError ? 'warn' : 'error',
      `${what} cannot be shown: ${describeForLog(error)}`,
    );
    const { error: message, hint } = describeFailure(error, what);
    return {
      fault: html`<div class="fault"><p><strong>${what}</strong> cannot be shown: ${message}</p>${hint && html`<p>What to do: ${hint}</p>`}</div>
`,
    };
  }
}
