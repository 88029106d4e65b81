import { isPrivilegeFault } from '../../dataverse/errors/error-response.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import type { EntityDefinition } from '../../dataverse/metadata/entity-definitions.ts';
import { describeError } from '../../errors.ts';
import type { SyncServices } from '../documents/services.ts';

/**
 * The definitions of all tables; none if the application user may not read them. `$metadata`, which every user may read,
 * has the sets, keys, columns and change tracking of the tables as well.
 */
export async function readDefinitions(services: SyncServices): Promise<EntityDefinition[]> {
  try {
    return await services.dataverse.readEntityDefinitions();
  } catch (error) {
    const fault = dataverseFault(error);
    if (fault === undefined || !(isPrivilegeFault(fault) || fault.status === 403)) throw error;
    // Without an application user, every other request fails as well.
    if (fault.code === codes.notAMember) throw error;
    const { message: reason, hint } = describeError(error);
    services.telemetry.log(
      'warn',
      'The entity definitions cannot be read, so the tables are read as $metadata describes them: without primary name columns, and with change tracking only where $metadata states it. Grant prvReadEntity to the application user.',
      { reason, hint },
    );
    return [];
  }
}
