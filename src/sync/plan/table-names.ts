import type { Attribute } from '../../dataverse/metadata/attributes.ts';
import type { EntityDefinition } from '../../dataverse/metadata/entity-definitions.ts';
import { type Label, textIn } from '../../dataverse/metadata/label.ts';
import type { Table } from '../../schema/table.ts';
import type { TableNames } from '../../target/mirror-target.ts';

/** Makes the display names and descriptions of the tables in a language, when that is known. */
export type NamesIn = (language: number | undefined) => TableNames[];

/** Longer descriptions are cut, in characters: they are for reading. */
const maxLength = 2000;

/**
 * The display names and descriptions of tables and their columns, from definitions that are read in any case.
 * @param attributes by logical name; tables whose attributes could not be read are left out
 */
export function namesOf(
  tables: readonly Table[],
  definitions: readonly EntityDefinition[],
  attributes: ReadonlyMap<string, readonly Attribute[]>,
): NamesIn {
  const definitionOf = new Map(definitions.map((one) => [one.logicalName, one]));
  return (language) => {
    const text = (label: Label | undefined) => cut(textIn(label, language));
    return tables.flatMap(({ logicalName, columns }): TableNames[] => {
      const own = attributes.get(logicalName);
      if (own === undefined) return [];
      const definition = definitionOf.get(logicalName);
      const attributeOf = new Map(own.map((one) => [one.logicalName, one]));
      return [
        {
          table: logicalName,
          displayName: text(definition?.displayName),
          description: text(definition?.description),
          columns: columns.flatMap(({ property }) => {
            if (property === undefined) return [];
            const found = attributeOf.get(property) ?? attributeOf.get(lookupOf(property));
            const [displayName, description] = [text(found?.displayName), text(found?.description)];
            return displayName === undefined && description === undefined
              ? []
              : [{ column: property, displayName, description }];
          }),
        },
      ];
    });
  };
}

/** The start of a long text, without half of a character at its end. */
function cut(text: string | undefined): string | undefined {
  return text?.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '');
}

/** `_parentcustomerid_value` is the property of `parentcustomerid`. */
function lookupOf(property: string): string {
  return /^_(.+)_value$/.exec(property)?.[1] ?? '';
}
