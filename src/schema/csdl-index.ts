import { ConfigurationError } from '../errors.ts';
import { bareName, type Csdl, type EntitySet, type EntityType, type Property } from './csdl.ts';

/** Dataverse has two levels of base types. */
const maxBaseTypes = 32;

const indexes = new WeakMap<Csdl, CsdlIndex>();

/**
 * Finds types, keys and properties of a CSDL document by name, inherited ones included. Each document has one index,
 * so it must not change after the first call of `CsdlIndex.of`.
 */
export class CsdlIndex {
  readonly #types: Map<string, EntityType>;
  readonly #sets: Map<string, EntitySet>;
  readonly #enums: Set<string>;
  readonly #underlying: Map<string, string>;
  readonly #derived = new Map<string, string[]>();
  readonly #referenced = new Map<string, Set<string>>();
  readonly #byPrimaryId = new Map<string, string[]>();

  static of(csdl: Csdl): CsdlIndex {
    let index = indexes.get(csdl);
    if (index === undefined) {
      index = new CsdlIndex(csdl);
      indexes.set(csdl, index);
    }
    return index;
  }

  constructor(csdl: Csdl) {
    this.#types = new Map(csdl.entityTypes.map((type) => [type.name, type]));
    this.#sets = new Map(csdl.entitySets.map((set) => [set.entityType, set]));
    this.#enums = new Set(csdl.enumTypes);
    this.#underlying = new Map(csdl.typeDefinitions.map((type) => [type.name, type.underlyingType]));
    for (const { name, baseType } of csdl.entityTypes) {
      if (baseType !== undefined) append(this.#derived, baseType, name);
    }
    for (const type of csdl.entityTypes) {
      for (const { type: target, constraints } of type.navigationProperties) {
        const referenced = this.#referenced.get(target) ?? new Set();
        for (const constraint of constraints) referenced.add(constraint.referencedProperty);
        this.#referenced.set(target, referenced);
      }
    }
    for (const { name } of csdl.entityTypes) {
      const primaryId = this.primaryId(name);
      if (primaryId !== undefined) append(this.#byPrimaryId, primaryId, name);
    }
  }

  type(name: string): EntityType | undefined {
    return this.#types.get(name);
  }

  typeNames(): string[] {
    return [...this.#types.keys()];
  }

  /** The entity set of a type: `accounts` for `account`. The rows of a type without one cannot be read. */
  set(typeName: string): EntitySet | undefined {
    return this.#sets.get(typeName);
  }

  isEnum(edmType: string): boolean {
    return this.#enums.has(bareName(edmType));
  }

  /** The primitive type of a type definition, or the type itself. */
  underlyingType(edmType: string): string {
    return this.#underlying.get(bareName(edmType)) ?? edmType;
  }

  /** The type and its base types, nearest first. */
  ancestry(name: string): EntityType[] {
    const line: EntityType[] = [];
    for (let type = this.#types.get(name); type !== undefined; ) {
      if (line.length === maxBaseTypes) {
        throw new ConfigurationError(
          `${name} in $metadata has more than ${maxBaseTypes} base types, or they form a cycle`,
          { object: name },
        );
      }
      line.push(type);
      type = type.baseType === undefined ? undefined : this.#types.get(type.baseType);
    }
    return line;
  }

  /** Own and inherited properties by name. The nearest declaration wins. */
  properties(name: string): Map<string, Property> {
    const properties = new Map<string, Property>();
    for (const type of this.ancestry(name)) {
      for (const property of type.properties) {
        if (!properties.has(property.name)) properties.set(property.name, property);
      }
    }
    return properties;
  }

  /** The key of the type, or of the nearest base type that declares one; empty if none does. */
  key(name: string): string[] {
    return this.ancestry(name).find((type) => type.key.length > 0)?.key ?? [];
  }

  /**
   * The column that lookups of other tables refer to: the key, except that `systemuser` and `team` inherit the key
   * `ownerid` of the abstract `principal` while lookups hold `systemuserid` and `teamid`
   * (learn.microsoft.com: Web API EntityType reference, "type inheritance").
   */
  primaryId(name: string): string | undefined {
    const key = this.key(name);
    const own = `${name}id`;
    if (!key.includes(own) && this.#referenced.get(name)?.has(own) && this.properties(name).has(own))
      return own;
    return key.length === 1 ? key[0] : undefined;
  }

  /** The types with this primary id whose rows can be read. */
  typesWithPrimaryId(column: string): string[] {
    return (this.#byPrimaryId.get(column) ?? []).filter((name) => this.tablesOf(name).length > 0);
  }

  /**
   * The tables that a reference to this type can mean: the type itself, or for an abstract type its concrete subtypes
   * with an entity set, after the abstract type if it has a set of its own (`activitypointers`). Empty for the root
   * types without a key, which every type derives from.
   */
  tablesOf(name: string): string[] {
    const type = this.#types.get(name);
    if (type === undefined || this.key(name).length === 0) return [];
    if (!type.abstract) return [name];
    const subtypes = this.#concreteSubtypes(name).filter((candidate) => this.#sets.has(candidate));
    return [...(this.#sets.has(name) ? [name] : []), ...subtypes.sort(byCodeUnit)];
  }

  #concreteSubtypes(name: string): string[] {
    return (this.#derived.get(name) ?? []).flatMap((derived) => [
      ...(this.#types.get(derived)?.abstract ? [] : [derived]),
      ...this.#concreteSubtypes(derived),
    ]);
  }
}

/** Orders names alike on every machine, whatever its locale. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key) ?? [];
  list.push(value);
  map.set(key, list);
}
