import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import type { Call } from '../../dataverse/transport/call.ts';
import type { Reply } from '../../dataverse/transport/reply.ts';
import { Transport } from '../../dataverse/transport/transport.ts';
import { ConfigurationError } from '../../errors.ts';

/**
 * The transport of campaign metrics. Dataverse reports a missing table, column or privilege as if one request were
 * wrong, but it would hit every record: such a fault becomes a ConfigurationError.
 */
export class MetricsTransport extends Transport {
  override async send<T>(call: Call, read: (reply: Reply) => T): Promise<T> {
    try {
      // Writes can use a kept connection: if it breaks, the record is queued and not sent twice.
      return await super.send({ ...call, idempotent: true }, read);
    } catch (error) {
      throw setupErrorOf(error, call) ?? error;
    }
  }
}

/** The ConfigurationError for a fault of the setup; undefined for any other error. */
export function setupErrorOf(
  error: unknown,
  { operation, entitySet }: Pick<Call, 'operation' | 'entitySet'>,
): ConfigurationError | undefined {
  if (!isSetupFault(error)) return undefined;
  return new ConfigurationError((error as Error).message, {
    operation,
    object: entitySet,
    hint: 'Run `npm run provision`: it creates what is missing and names the privileges that the application user needs.',
    cause: error,
  });
}

function isSetupFault(error: unknown): boolean {
  const fault = dataverseFault(error);
  if (fault?.status === undefined || fault.transient || isMissingRow(error)) return false;
  const isUnknownColumn =
    fault.code === codes.queryRefused || /could not find a property/i.test(fault.serverMessage ?? '');
  return [403, 404, 405, 501].includes(fault.status) || (fault.status === 400 && isUnknownColumn);
}
