import { metadataId } from './labels.ts';
import type { Model, Table } from './model.ts';

export const privilegeVerbs = [
  'Create',
  'Read',
  'Write',
  'Delete',
  'Append',
  'AppendTo',
  'Assign',
  'Share',
] as const;

/** `prvReadapex_CampaignMetrics` */
export function privilegeName(verb: (typeof privilegeVerbs)[number], table: Table): string {
  return `prv${verb}${table.schemaName}`;
}

/** Privileges that belong to no table of the sample. */
export const otherPrivileges = [
  ...['prvCreateEntity', 'prvReadEntity', 'prvWriteEntity', 'prvCreateAttribute', 'prvReadAttribute'],
  ...['prvWriteAttribute', 'prvCreateEntityKey', 'prvReadEntityKey', 'prvPublishCustomization'],
  ...['prvReadOptionSet', 'prvCreateRole', 'prvReadRole', 'prvWriteRole', 'prvAssignRole'],
];

/** All privileges of the organization, with the ids that `EntityDefinitions` shows too. */
export function allPrivileges(model: Model): { name: string; id: string }[] {
  const ofTables = [...model.tables.values()]
    .filter((table) => table.intersect === undefined)
    .flatMap((table) => privilegeVerbs.map((verb) => privilegeName(verb, table)));
  return [...new Set([...ofTables, ...otherPrivileges])].map((name) => ({ name, id: metadataId(name) }));
}
