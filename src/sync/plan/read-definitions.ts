import { isPrivilegeFault } from '../../dataverse/errors/error-response.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import type { EntityDefinition } from '../../dataverse/metadata/entity-definitions.ts';
import { describeError } from '../../errors.ts';
import type { SyncServices } from '../documents/services.ts';

/** What is known of the definitions of all tables. */
export interface Definitions {
  definitions: EntityDefinition[];
  /** The application user may not read them. */
  areRefused: boolean;
}

/** How long a run waits for definitions that were refused before. */
const retrySeconds = 30;

/**
 * The definitions, if they were refused before and can be read now. Nothing in the metadata changes when access is
 * granted, so each run asks: one request that Dataverse refuses at once.
 */
export async function readGrantedDefinitions(services: SyncServices): Promise<Definitions | undefined> {
  try {
    const signal = AbortSignal.timeout(retrySeconds * 1000);
    const definitions = await services.dataverse.readEntityDefinitions({ signal });
    services.telemetry.log('info', 'The entity definitions can be read now. The metadata is read again.');
    return { definitions, areRefused: false };
  } catch (error) {
    const reason = describeError(error).message;
    services.telemetry.log('debug', 'The entity definitions still cannot be read.', { reason });
    return undefined;
  }
}

/**
 * The definitions of all tables; none if the application user may not read them. `$metadata`, which every user may read,
 * has the sets, keys, columns and change tracking of the tables as well.
 */
export async function readDefinitions(
  services: Pick<SyncServices, 'dataverse' | 'telemetry'>,
): Promise<Definitions> {
  try {
    return { definitions: await services.dataverse.readEntityDefinitions(), areRefused: false };
  } catch (error) {
    const fault = dataverseFault(error);
    if (fault === undefined || !(isPrivilegeFault(fault) || fault.status === 403)) throw error;
    // Without an application user, every other request fails as well.
    if (fault.code === codes.notAMember) throw error;
    const { message: reason, hint } = describeError(error);
    services.telemetry.log(
      'warn',
      'The entity definitions cannot be read, so the tables are read as $metadata describes them: without primary name columns, with change tracking only where $metadata states it, and without comparing computed and secured columns. Grant prvReadEntity to the application user.',
      { reason, hint },
    );
    return { definitions: [], areRefused: true };
  }
}
