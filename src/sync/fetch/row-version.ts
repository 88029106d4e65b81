import type { VersionRule } from '../../sqlite/record-writer.ts';

/**
 * The version of a row of Dataverse: its weak ETag, or `versionnumber`. Both have the same digits
 * (learn.microsoft.com: Perform conditional operations using the Web API).
 */
export const rowVersion: VersionRule = {
  properties: ['@odata.etag', 'versionnumber'],
  prefix: 'W/"',
  suffix: '"',
};
