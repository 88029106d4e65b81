import type { DataverseClient } from '../../dataverse/client.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { checkName, isGuid } from '../../dataverse/read/query.ts';
import { type Row, readList, readObject } from '../../dataverse/transport/reply.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';
import { RetriableError } from '../../errors.ts';

/** What provisioning compares of a table, under Dataverse's own names. */
export interface TableMetadata {
  SchemaName: string;
  EntitySetName: string;
  ChangeTrackingEnabled: boolean;
  /** By logical name. */
  columns: Map<string, ColumnMetadata>;
  keys: { KeyAttributes: string[]; EntityKeyIndexStatus: string }[];
}

export interface ColumnMetadata {
  AttributeType: string;
  /** Of text columns, in UTF-16 units. */
  MaxLength?: number;
  /** Of decimal columns: decimal places. */
  Precision?: number;
}

/** Reads and changes table definitions through the Web API. */
export class MetadataApi {
  readonly #client: Pick<DataverseClient, 'request'>;

  constructor(client: Pick<DataverseClient, 'request'>) {
    this.#client = client;
  }

  /** Returns undefined if Dataverse has no such table. */
  async readTable(table: string): Promise<TableMetadata | undefined> {
    const path = tablePath(table);
    const select = 'SchemaName,EntitySetName,ChangeTrackingEnabled';
    const reply = await this.#get(`${path}?$select=${select}`).catch((error: unknown) => {
      if (dataverseFault(error)?.status === 404) return undefined;
      throw error;
    });
    if (reply === undefined) return undefined;
    const list = async (below: string) => readList(await this.#get(`${path}/${below}`));
    const columns = new Map<string, ColumnMetadata>();
    for (const attribute of [
      ...(await list('Attributes?$select=LogicalName,AttributeType')),
      // A property of one column type can only be selected after a cast to that type.
      ...(await list(`${columnsOf('String')}?$select=LogicalName,MaxLength`)),
      ...(await list(`${columnsOf('Decimal')}?$select=LogicalName,Precision`)),
    ]) {
      const name = String(attribute['LogicalName']);
      columns.set(name, { ...columns.get(name), ...(attribute as unknown as ColumnMetadata) });
    }
    const keys = await list('Keys?$select=SchemaName,KeyAttributes,EntityKeyIndexStatus');
    return { ...readObject(reply), columns, keys } as unknown as TableMetadata;
  }

  /** @param operation what the request does, for error messages: `create the column apex_phase` */
  async post(operation: string, url: string, body: Row): Promise<void> {
    await this.#client.request({ operation, method: 'POST', url, body: toJson(body) });
  }

  /** Changes the whole definition and publishes it: Dataverse does not accept a part of one. */
  async enableChangeTracking(table: string): Promise<void> {
    const url = tablePath(table);
    const { '@odata.context': _, ...whole } = readObject(await this.#get(url));
    const body = toJson({ ...whole, ChangeTrackingEnabled: true });
    const headers = { 'MSCRM.MergeLabels': 'true' };
    await this.#client.request({ operation: 'enable change tracking', method: 'PUT', url, body, headers });
    const xml = `<importexportxml><entities><entity>${table}</entity></entities></importexportxml>`;
    await this.post('publish the table', 'PublishXml', { ParameterXml: xml });
  }

  /** The caller's user id and privileges: name in lower case → depth (`Global` means the whole organization). */
  async readPrivileges(): Promise<{ userId: string; held: Map<string, string> }> {
    const userId = String(readObject(await this.#get('WhoAmI()'))['UserId']);
    // It becomes a part of an address, and of reports.
    if (!isGuid(userId)) throw new RetriableError('Dataverse does not say which user the app is.');
    const path = `systemusers(${userId})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()`;
    const { RolePrivileges: privileges } = readObject(await this.#get(path));
    const held = new Map<string, string>();
    for (const privilege of (privileges ?? []) as Row[]) {
      const name = String(privilege['PrivilegeName']).toLowerCase();
      // A user can hold a privilege through several roles: the widest depth counts.
      if (held.get(name) !== 'Global') held.set(name, String(privilege['Depth']));
    }
    return { userId, held };
  }

  #get(url: string) {
    // Otherwise definitions can be 30 seconds old (learn.microsoft.com: Compose HTTP requests).
    const headers = { Consistency: 'Strong' };
    return this.#client.request({ operation: 'read table definitions', url, headers });
  }
}

/** Where a table's definition is; its columns and keys are below. */
export const tablePath = (table: string) =>
  `EntityDefinitions(LogicalName='${checkName(table, 'table name')}')`;
const columnsOf = (type: string) => `Attributes/Microsoft.Dynamics.CRM.${type}AttributeMetadata`;
