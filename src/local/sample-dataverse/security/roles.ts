export interface Role {
  id: string;
  name: string;
  businessUnit: string;
  /** Depth by the id of the privilege. */
  privileges: Map<string, string>;
}

/**
 * Security roles: they can be created, filled, read and assigned as in the real service (learn.microsoft.com: Role
 * table/entity reference, AddPrivilegesRole action, RetrieveRolePrivilegesRole function). What the caller may do does not
 * depend on them: tests take single privileges away instead.
 */
export class Roles {
  readonly all = new Map<string, Role>();
  /** Ids of roles by id of the user. */
  readonly assigned = new Map<string, Set<string>>();
}
