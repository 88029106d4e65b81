import { z } from 'zod';
import type { State } from '../../target/state.ts';

/**
 * What is used of a `RemoteExecutionContext` in JSON, as a Dataverse webhook sends it
 * (learn.microsoft.com: Use webhooks to create external handlers for server events, "Request Body"). Above 256 KB Dataverse
 * leaves out the parameters.
 */
const changeMessage = z.looseObject({
  MessageName: z.string().max(200),
  PrimaryEntityName: z.string().max(200),
  OrganizationId: z.guid(),
  InputParameters: z.array(z.looseObject({ key: z.string(), value: z.unknown() })).nullish(),
});

export type ChangeMessage = z.output<typeof changeMessage>;

/** @returns undefined if the value is not a message of Dataverse */
export function readChangeMessage(value: unknown): ChangeMessage | undefined {
  const parsed = changeMessage.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** The messages that add and remove links. Their primary entity can be `none`. */
const linkMessages = ['Associate', 'Disassociate'];

/**
 * The tables whose rows the message may have changed, as logical names in lower case, also tables that are not mirrored.
 *
 * A link of an N:N relationship is a row of its intersect table, which the message does not name: it names the relationship.
 * So these are all intersect tables that the mirror has between the tables of the message; a table too many costs a read
 * without changes. A link of a 1:N relationship is a lookup in the row at the other end.
 */
export function changedTables(message: ChangeMessage, { entities }: Pick<State, 'entities'>): string[] {
  const primary = message.PrimaryEntityName.toLowerCase();
  const named = new Set(primary === 'none' || primary === '' ? [] : [primary]);
  if (!linkMessages.includes(message.MessageName)) return [...named];
  for (const name of linkedTables(message)) named.add(name);
  const intersects = Object.values(entities).filter(({ table: { intersect, foreignKeys } }) => {
    const ends = new Set(foreignKeys.flatMap(({ targets }) => targets));
    return intersect && [...named].every((name) => ends.has(name));
  });
  return [...named, ...intersects.map(({ table }) => table.logicalName)];
}

const entityReference = z.looseObject({ LogicalName: z.string().max(200) });

function linkedTables({ InputParameters }: ChangeMessage): string[] {
  const parameters = (InputParameters ?? []).filter(
    ({ key }) => key === 'Target' || key === 'RelatedEntities',
  );
  const references = parameters.flatMap(({ value }) =>
    Array.isArray(value) ? (value as unknown[]) : [value],
  );
  return references.flatMap((reference) => {
    const parsed = entityReference.safeParse(reference);
    return parsed.success ? parsed.data.LogicalName.toLowerCase() : [];
  });
}
