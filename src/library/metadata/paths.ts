import { checkName } from '../../dataverse/read/query.ts';

/** Where the definition of a table is; its columns and keys are below. */
export const tablePath = (logicalName: string) =>
  `EntityDefinitions(LogicalName='${checkName(logicalName, 'logical name')}')`;
