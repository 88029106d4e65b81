import type { Table } from './model.ts';

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
