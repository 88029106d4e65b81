import type { DataverseClient } from '../dataverse/client.ts';
import { encodeValue, stringLiteral } from '../dataverse/read/query.ts';
import { type Row, readList, readObject } from '../dataverse/transport/reply.ts';
import { toJson } from '../dataverse/write/exact-number.ts';
import { ConfigurationError } from '../errors.ts';
import { generalPrivileges, metricsVerbs, type Privilege, readTableRights } from './table-privileges.ts';

/**
 * The security role of the app, with the least privileges; all at organisation level.
 * learn.microsoft.com: Role table/entity reference, AddPrivilegesRole action, RetrieveRolePrivilegesRole function.
 */
export class SecurityRole {
  readonly #client: DataverseClient;
  readonly #name: string;

  /** @param client signed in as somebody who may create roles, as a System Administrator */
  constructor(client: DataverseClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /**
   * The privileges that the app needs, by name, and the tables that Dataverse does not have.
   * @param tables logical names of the mirrored tables
   * @param metricsTable logical name of the table of campaign metrics
   */
  async privileges(
    tables: readonly string[],
    metricsTable: string,
  ): Promise<{ needed: Privilege[]; unknown: string[] }> {
    const needed = new Map<string, Privilege>();
    const unknown: string[] = [];
    const add = async (table: string, verbs: readonly string[]) => {
      const rights = await readTableRights(this.#client, table);
      if (rights === undefined) unknown.push(table);
      for (const verb of verbs) {
        const privilege = rights?.privileges.get(verb);
        if (privilege !== undefined) needed.set(privilege.name, privilege);
      }
    };
    await Promise.all([
      ...tables.map((table) => add(table, ['Read'])),
      add(metricsTable, metricsVerbs),
      // The base language of the organisation, for labels.
      add('organization', ['Read']),
    ]);
    for (const privilege of await this.#generalPrivileges()) needed.set(privilege.name, privilege);
    return {
      needed: [...needed.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      unknown: [...new Set(unknown)].sort(),
    };
  }

  async #generalPrivileges(): Promise<Privilege[]> {
    const filter = generalPrivileges.map((name) => `name eq ${stringLiteral(name)}`).join(' or ');
    const rows = await this.#list('privileges', `$select=name,privilegeid&$filter=${encodeValue(filter)}`);
    return rows.map((row) => ({ name: String(row['name']), id: String(row['privilegeid']) }));
  }

  /**
   * Creates the role, or adds to it what it lacks. It takes nothing away: an administrator may have added more.
   * @returns its id, and the names that were added. Running it again adds none
   */
  async create(needed: readonly Privilege[]): Promise<{ id: string; isNew: boolean; added: string[] }> {
    const unit = await this.#rootUnit();
    const existing = await this.#find(unit);
    const id = existing ?? (await this.#createIn(unit));
    const held = existing === undefined ? new Set<string>() : await this.#heldBy(id);
    const missing = needed.filter((privilege) => !held.has(privilege.id.toLowerCase()));
    if (missing.length > 0) {
      const privileges = missing.map((privilege) => ({
        Depth: 'Global',
        PrivilegeId: privilege.id,
        BusinessUnitId: unit,
      }));
      await this.#post(
        'add privileges to the role',
        `roles(${id})/Microsoft.Dynamics.CRM.AddPrivilegesRole`,
        {
          Privileges: privileges,
        },
      );
    }
    return { id, isNew: existing === undefined, added: missing.map(({ name }) => name) };
  }

  /**
   * Assigns the role to the application user of an identity.
   * @param clientId of the app registration or the managed identity
   * @returns false if the user has the role already
   * @throws ConfigurationError if there is no such user
   */
  async assign(clientId: string): Promise<boolean> {
    const filter = encodeValue(`applicationid eq ${clientId}`);
    const [user] = await this.#list(
      'systemusers',
      `$select=systemuserid,_businessunitid_value&$filter=${filter}`,
    );
    if (user === undefined) {
      throw new ConfigurationError(`Dataverse has no application user for the client id ${clientId}.`, {
        operation: 'assign the role',
        object: clientId,
        hint: 'Create it in the Power Platform admin centre: environment, Settings, Users, Application users, New app user.',
      });
    }
    // Each business unit has a copy of the role. A user can only have that of the own unit.
    const role = await this.#find(String(user['_businessunitid_value']));
    if (role === undefined) {
      throw new ConfigurationError(
        `The role ${this.#name} does not exist in the business unit of the user.`,
        {
          operation: 'assign the role',
          object: this.#name,
          hint: 'Run the command with --create, or move the application user to the root business unit.',
        },
      );
    }
    const path = `systemusers(${user['systemuserid']})/systemuserroles_association`;
    const assigned = await this.#list(path, '$select=roleid');
    if (assigned.some((row) => row['roleid'] === role)) return false;
    const body = { '@odata.id': `${this.#client.origin}/api/data/v9.2/roles(${role})` };
    await this.#post('assign the role', `${path}/$ref`, body);
    return true;
  }

  /** A role of the root business unit is copied to all others. */
  async #rootUnit(): Promise<string> {
    const filter = encodeValue('_parentbusinessunitid_value eq null');
    const [unit] = await this.#list('businessunits', `$select=businessunitid&$filter=${filter}`);
    return String(unit?.['businessunitid']);
  }

  async #find(unit: string): Promise<string | undefined> {
    const filter = encodeValue(`name eq ${stringLiteral(this.#name)} and _businessunitid_value eq ${unit}`);
    const [role] = await this.#list('roles', `$select=roleid&$filter=${filter}`);
    return role === undefined ? undefined : String(role['roleid']);
  }

  async #createIn(unit: string): Promise<string> {
    await this.#post('create the role', 'roles', {
      name: this.#name,
      'businessunitid@odata.bind': `/businessunits(${unit})`,
    });
    const id = await this.#find(unit);
    if (id !== undefined) return id;
    throw new ConfigurationError(`Dataverse does not show the role ${this.#name} that was just created.`, {
      operation: 'create the role',
      hint: 'Run the command again.',
    });
  }

  /** Ids of the privileges that the role has at organisation level. */
  async #heldBy(role: string): Promise<Set<string>> {
    const operation = 'read the privileges of the role';
    const reply = await this.#client.request({
      operation,
      url: `RetrieveRolePrivilegesRole(RoleId=${role})`,
    });
    const { RolePrivileges: privileges } = readObject(reply);
    const whole = ((privileges ?? []) as Row[]).filter((privilege) => privilege['Depth'] === 'Global');
    return new Set(whole.map((privilege) => String(privilege['PrivilegeId']).toLowerCase()));
  }

  async #list(path: string, query: string): Promise<Row[]> {
    return readList(await this.#client.request({ operation: `read ${path}`, url: `${path}?${query}` }));
  }

  async #post(operation: string, url: string, body: Row): Promise<void> {
    await this.#client.request({ operation, method: 'POST', url, body: toJson(body) });
  }
}
