import { queryString } from '../../dataverse/read/query.ts';
import { type Reply, readObject } from '../../dataverse/transport/reply.ts';
import { parseExact, toJson } from '../../dataverse/write/exact-number.ts';
import { resultOf } from '../client/call-function.ts';
import type { RequestOptions } from '../client/options.ts';
import type { Session } from '../client/session.ts';
import type { Row } from '../client/table-definition.ts';
import { escapeXml } from '../query/fetch-xml.ts';
import { withoutContext } from '../rows/without-context.ts';
import {
  type ChoiceOption,
  type ColumnDefinition,
  columnDefinition,
  type LabelText,
  label,
  type NewTable,
  optionsOf,
  tableDefinition,
} from './definitions.ts';
import { choicePath, columnPath, keyPath, relationshipPath, tablePath } from './paths.ts';
import {
  lookupDefinition,
  manyToManyDefinition,
  type NewLookup,
  type NewManyToMany,
} from './relationships.ts';

export interface ReadDefinitionOptions extends RequestOptions {
  /** Properties of the definition: `['SchemaName', 'EntitySetName']`. @default all */
  select?: readonly string[] | undefined;
  /** In OData's own syntax: `Attributes($select=LogicalName,AttributeType),Keys`. */
  expand?: string | undefined;
}

/** A choice: the column that has it, or the name of a shared one. */
export type ChoiceName = { table: string; column: string } | { globalChoice: string };

/**
 * Reads and changes the definitions of tables. Logical names are in lower case. Changes of what exists are visible in
 * apps after `publish`. Dataverse makes one change of definitions at a time and takes seconds for each, so a call may take
 * five minutes; none is repeated that Dataverse may have executed.
 */
export class Metadata {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Reads the definition of a table, as it is now: Dataverse's cache is not used.
   * learn.microsoft.com: "Query schema definitions", "EntityMetadata EntityType".
   */
  async readTable(logicalName: string, options: ReadDefinitionOptions = {}): Promise<Row> {
    return this.#read(`the definition of ${logicalName}`, tablePath(logicalName), options);
  }

  /** Reads the definition of a column. Properties of one type need the type in the path: use `dataverse.request`. */
  async readColumn(table: string, column: string, options: ReadDefinitionOptions = {}): Promise<Row> {
    return this.#read(`the column ${column} of ${table}`, columnPath(table, column), options);
  }

  /** Reads a shared choice with its options. */
  async readChoice(name: string, options: RequestOptions = {}): Promise<Row> {
    return this.#read(`the choice ${name}`, choicePath(name), options);
  }

  /** Creates a table with its columns. */
  async createTable(table: NewTable, options?: RequestOptions): Promise<void> {
    return this.#write(
      'POST',
      `create the table ${table.schemaName}`,
      'EntityDefinitions',
      tableDefinition(table),
      options,
    );
  }

  /** Changes properties of a table, named as in the Web API: `{ ChangeTrackingEnabled: true }`. Labels are merged. */
  async updateTable(logicalName: string, changes: Row, options?: RequestOptions): Promise<void> {
    await this.#replace(`update the table ${logicalName}`, tablePath(logicalName), changes, options);
  }

  /** Deletes a table with its rows. */
  async deleteTable(logicalName: string, options?: RequestOptions): Promise<void> {
    await this.#write(
      'DELETE',
      `delete the table ${logicalName}`,
      tablePath(logicalName),
      undefined,
      options,
    );
    this.#session.definitions.forget(logicalName);
  }

  async createColumn(table: string, column: ColumnDefinition, options?: RequestOptions): Promise<void> {
    const path = `${tablePath(table)}/Attributes`;
    return this.#write(
      'POST',
      `create the column ${column.schemaName} of ${table}`,
      path,
      columnDefinition(column),
      options,
    );
  }

  /** Changes properties of a column, named as in the Web API: `{ MaxLength: 200 }`. Labels are merged. */
  async updateColumn(table: string, column: string, changes: Row, options?: RequestOptions): Promise<void> {
    return this.#replace(
      `update the column ${column} of ${table}`,
      columnPath(table, column),
      changes,
      options,
    );
  }

  /** Deletes a column with its values. */
  async deleteColumn(table: string, column: string, options?: RequestOptions): Promise<void> {
    return this.#write(
      'DELETE',
      `delete the column ${column} of ${table}`,
      columnPath(table, column),
      undefined,
      options,
    );
  }

  /** Creates an alternate key. Dataverse builds its index in the background: see `readKeyStatus`. */
  async createKey(
    table: string,
    key: { schemaName: string; displayName: LabelText; columns: readonly string[] },
    options?: RequestOptions,
  ): Promise<void> {
    const body = {
      SchemaName: key.schemaName,
      DisplayName: label(key.displayName),
      KeyAttributes: key.columns,
    };
    return this.#write(
      'POST',
      `create the key ${key.schemaName} of ${table}`,
      `${tablePath(table)}/Keys`,
      body,
      options,
    );
  }

  /** How far the index of a key is. Only an active key finds rows; a failed one has rows with equal values. */
  async readKeyStatus(
    table: string,
    key: string,
    options: RequestOptions = {},
  ): Promise<'Pending' | 'InProgress' | 'Active' | 'Failed'> {
    const read = { ...options, select: ['EntityKeyIndexStatus'] };
    const row = await this.#read(`the key ${key} of ${table}`, keyPath(table, key), read);
    return row['EntityKeyIndexStatus'] as 'Active';
  }

  async deleteKey(table: string, key: string, options?: RequestOptions): Promise<void> {
    return this.#write(
      'DELETE',
      `delete the key ${key} of ${table}`,
      keyPath(table, key),
      undefined,
      options,
    );
  }

  /** Creates a lookup with its relationship. */
  async createLookup(lookup: NewLookup, options?: RequestOptions): Promise<void> {
    const operation = `create the lookup ${lookup.schemaName}`;
    return this.#write('POST', operation, 'RelationshipDefinitions', lookupDefinition(lookup), options);
  }

  async createManyToMany(relationship: NewManyToMany, options?: RequestOptions): Promise<void> {
    const operation = `create the relationship ${relationship.schemaName}`;
    return this.#write(
      'POST',
      operation,
      'RelationshipDefinitions',
      manyToManyDefinition(relationship),
      options,
    );
  }

  /** Deletes a relationship: a lookup with its column, or an N:N relationship with its connections. */
  async deleteRelationship(schemaName: string, options?: RequestOptions): Promise<void> {
    return this.#write(
      'DELETE',
      `delete the relationship ${schemaName}`,
      relationshipPath(schemaName),
      undefined,
      options,
    );
  }

  /** Creates a shared choice, which columns of several tables can use. */
  async createChoice(
    choice: { name: string; displayName: LabelText; options: readonly ChoiceOption[] },
    options?: RequestOptions,
  ): Promise<void> {
    const body = {
      '@odata.type': 'Microsoft.Dynamics.CRM.OptionSetMetadata',
      Name: choice.name,
      DisplayName: label(choice.displayName),
      ...optionsOf(choice.options, true),
    };
    return this.#write(
      'POST',
      `create the choice ${choice.name}`,
      'GlobalOptionSetDefinitions',
      body,
      options,
    );
  }

  async deleteChoice(name: string, options?: RequestOptions): Promise<void> {
    return this.#write('DELETE', `delete the choice ${name}`, choicePath(name), undefined, options);
  }

  /** Adds an option and returns its value. */
  async addOption(choice: ChoiceName, option: ChoiceOption, options?: RequestOptions): Promise<number> {
    const body = { ...placeOf(choice), Value: option.value, Label: label(option.label) };
    const result = await this.#action('add an option', 'InsertOptionValue', body, options);
    return Number(result?.['NewOptionValue']);
  }

  /** Changes the label of an option. */
  async updateOption(
    choice: ChoiceName,
    option: { value: number; label: LabelText },
    options?: RequestOptions,
  ): Promise<void> {
    const body = { ...placeOf(choice), Value: option.value, Label: label(option.label), MergeLabels: true };
    await this.#action('update an option', 'UpdateOptionValue', body, options);
  }

  /** Deletes an option. Rows keep its value. */
  async deleteOption(choice: ChoiceName, value: number, options?: RequestOptions): Promise<void> {
    await this.#action(
      'delete an option',
      'DeleteOptionValue',
      { ...placeOf(choice), Value: value },
      options,
    );
  }

  /** Publishes the changes of tables and shared choices, or with no argument all changes, which takes long. */
  async publish(
    what?: { tables?: readonly string[]; choices?: readonly string[] },
    options?: RequestOptions,
  ): Promise<void> {
    if (what === undefined) {
      await this.#action('publish all changes', 'PublishAllXml', {}, options);
      return;
    }
    const list = (name: string, one: string, names: readonly string[] = []) =>
      names.length === 0
        ? ''
        : `<${name}>${names.map((each) => `<${one}>${escapeXml(each)}</${one}>`).join('')}</${name}>`;
    const inner = list('entities', 'entity', what.tables) + list('optionsets', 'optionset', what.choices);
    const body = { ParameterXml: `<importexportxml>${inner}</importexportxml>` };
    await this.#action('publish changes', 'PublishXml', body, options);
  }

  #read(
    what: string,
    path: string,
    options: ReadDefinitionOptions,
    parse: (reply: Reply) => Row = readObject,
  ): Promise<Row> {
    const { select, expand } = options;
    return this.#session.run(options, async (transport, call) => {
      const url = path + queryString({ select, expand });
      const headers = { Consistency: 'Strong' };
      const read = { ...call, operation: `read ${what}`, entitySet: 'EntityDefinitions', url, headers };
      return withoutContext(await transport.send(read, parse));
    });
  }

  async #write(
    method: 'POST' | 'PUT' | 'DELETE',
    operation: string,
    url: string,
    body: Row | undefined,
    options: RequestOptions | undefined,
  ): Promise<void> {
    await this.#session.run(options, (transport, call) =>
      transport.send(
        {
          ...call,
          ...{ operation, method, url, timeoutSeconds: 300 },
          headers: { 'MSCRM.MergeLabels': method === 'PUT' ? 'true' : undefined },
          body: body === undefined ? undefined : toJson(body),
          idempotent: method === 'PUT',
        },
        resultOf,
      ),
    );
  }

  /** Dataverse takes whole definitions only, so the properties that do not change are read first. */
  async #replace(
    operation: string,
    path: string,
    changes: Row,
    options: RequestOptions | undefined,
  ): Promise<void> {
    // A 64-bit limit or a decimal must go back as it came.
    const read = (reply: Reply) =>
      readObject(reply) && (parseExact(reply.body.toString().replace(/^\uFEFF/, '')) as Row);
    const known = await this.#read(operation.replace(/^update /, ''), path, { ...options }, read);
    await this.#write('PUT', operation, path, { ...known, ...changes }, options);
  }

  #action(
    operation: string,
    url: string,
    body: Row,
    options: RequestOptions | undefined,
  ): Promise<Row | undefined> {
    return this.#session.run(options, (transport, call) =>
      transport.send(
        { ...call, operation, method: 'POST', url, body: toJson(body), timeoutSeconds: 300 },
        resultOf,
      ),
    );
  }
}

function placeOf(choice: ChoiceName): Row {
  if ('globalChoice' in choice) return { OptionSetName: choice.globalChoice };
  return { EntityLogicalName: choice.table, AttributeLogicalName: choice.column };
}
