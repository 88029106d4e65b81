import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { checkName } from '../../dataverse/read/query.ts';
import type { Call } from '../../dataverse/transport/call.ts';
import { type Row, unreadable } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';

/** What Dataverse knows about a table, as far as provisioning looks. */
export interface TableMetadata {
  logicalName: string;
  schemaName: string;
  entitySet: string;
  changeTracking: boolean;
  columns: Map<string, { type: string; maxLength?: number; precision?: number }>;
  keys: { name: string; columns: string[]; status: string }[];
}

/** Reads and changes table definitions through the Web API. */
export class MetadataApi {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Undefined where there is no such table. */
  async readTable(logicalName: string): Promise<TableMetadata | undefined> {
    const path = definition(logicalName);
    const select = 'LogicalName,SchemaName,EntitySetName,ChangeTrackingEnabled';
    const table = await this.#get(`${path}?$select=${select}`).catch((error: unknown) => {
      const fault = dataverseFault(error) ?? dataverseFault((error as Error).cause);
      if (fault?.status === 404) return undefined;
      throw error;
    });
    if (table === undefined) return undefined;
    const rows = async (below: string) => ((await this.#get(`${path}/${below}`))['value'] ?? []) as Row[];
    const columns: TableMetadata['columns'] = new Map();
    for (const row of await rows('Attributes?$select=LogicalName,AttributeType')) {
      columns.set(String(row['LogicalName']), { type: String(row['AttributeType']) });
    }
    for (const [type, properties] of sizes) {
      const path = `Attributes/Microsoft.Dynamics.CRM.${type}AttributeMetadata`;
      const found = await rows(`${path}?$select=LogicalName,${properties.join(',')}`);
      for (const row of found) Object.assign(columns.get(String(row['LogicalName'])) ?? {}, sizeOf(row));
    }
    const keys = await rows('Keys?$select=SchemaName,KeyAttributes,EntityKeyIndexStatus');
    return {
      logicalName,
      schemaName: String(table['SchemaName']),
      entitySet: String(table['EntitySetName']),
      changeTracking: table['ChangeTrackingEnabled'] === true,
      columns,
      keys: keys.map((key) => ({
        name: String(key['SchemaName']),
        columns: (key['KeyAttributes'] ?? []) as string[],
        status: String(key['EntityKeyIndexStatus'] ?? 'Active'),
      })),
    };
  }

  async createTable(body: unknown): Promise<void> {
    await this.#send('create the table', 'POST', 'EntityDefinitions', body);
  }

  async createColumn(table: string, body: unknown): Promise<void> {
    await this.#send('create a column', 'POST', `${definition(table)}/Attributes`, body);
  }

  async createKey(table: string, body: unknown): Promise<void> {
    await this.#send('create the alternate key', 'POST', `${definition(table)}/Keys`, body);
  }

  /** A definition is replaced whole, so it is read, changed and put back, then published. */
  async enableChangeTracking(table: string): Promise<void> {
    const path = definition(table);
    const { '@odata.context': _, ...whole } = await this.#get(path);
    const merge = { 'MSCRM.MergeLabels': 'true' };
    await this.#send('enable change tracking', 'PUT', path, { ...whole, ChangeTrackingEnabled: true }, merge);
    const xml = `<importexportxml><entities><entity>${table}</entity></entities></importexportxml>`;
    await this.#send('publish the table', 'POST', 'PublishXml', { ParameterXml: xml });
  }

  /** The privileges of the identity that is used: name in lower case → depth (`Global` is the organisation). */
  async readPrivileges(): Promise<{ userId: string; held: Map<string, string> }> {
    const userId = String((await this.#get('WhoAmI()'))['UserId']);
    const answer = await this.#get(`systemusers(${userId})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()`);
    const held = new Map<string, string>();
    for (const privilege of (answer['RolePrivileges'] ?? []) as Row[]) {
      const name = String(privilege['PrivilegeName'] ?? '').toLowerCase();
      // The widest depth counts, whichever role it comes from.
      if (held.get(name) !== 'Global') held.set(name, String(privilege['Depth']));
    }
    return { userId, held };
  }

  async #get(url: string): Promise<Row> {
    const call: Call = {
      operation: 'read table definitions',
      url,
      // Without it the definitions may be half a minute old (learn.microsoft.com: Compose HTTP requests).
      headers: { Consistency: 'Strong' },
    };
    return this.#transport.send(call, (reply) => {
      try {
        return JSON.parse(reply.body.toString()) as Row;
      } catch {
        throw unreadable(reply, 'it is not JSON');
      }
    });
  }

  async #send(
    operation: string,
    method: 'POST' | 'PUT',
    url: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<void> {
    const type = { 'Content-Type': 'application/json; charset=utf-8' };
    const call: Call = { operation, method, url, body: toJson(body), headers: { ...type, ...headers } };
    await this.#transport.send(call, () => undefined);
  }
}

/** How much a column of each type holds. */
const sizes = [
  ['String', ['MaxLength']],
  ['Decimal', ['Precision']],
] as const;

function sizeOf(row: Row): { maxLength?: number; precision?: number } {
  if (typeof row['MaxLength'] === 'number') return { maxLength: row['MaxLength'] };
  return typeof row['Precision'] === 'number' ? { precision: row['Precision'] } : {};
}

const definition = (table: string) => `EntityDefinitions(LogicalName='${checkName(table, 'table name')}')`;
