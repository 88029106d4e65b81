import { resourcePath, subscriptionId } from './functions.ts';
import { type ResourceType, runtimeValue } from './resource-types.ts';
import { BicepError, type Place } from './tokens.ts';
import { Known, Reference, runtimeText, type Value } from './values.ts';

/** A resource of a deployment. */
export interface DeployedResource {
  /** The file that declares it, its symbol there, and the symbols of the modules on the way. */
  file: string;
  symbol: string;
  module: string;
  place: Place;
  /** `Microsoft.X/y` */
  type: string;
  apiVersion: string;
  /** The names of the resource and its parents. */
  names: string[];
  id: string;
  /** The id of what it extends, for roles and diagnostic settings. */
  scope?: string;
  isExisting: boolean;
  /** What Azure receives, without name and parent. */
  body: { [name: string]: Value };
}

/** A resource by its symbol. */
export class ResourceReference extends Reference {
  readonly text = undefined;
  readonly resource: DeployedResource;
  readonly type: ResourceType | undefined;

  constructor(resource: DeployedResource, type: ResourceType | undefined) {
    super();
    this.resource = resource;
    this.type = type;
  }

  member(name: string): Value {
    const { id, names, type, apiVersion, body } = this.resource;
    const known: Record<string, Value> = { id, name: names.at(-1), type, apiVersion };
    if (Object.hasOwn(known, name)) return known[name];
    if ((name === 'location' || name === 'tags') && Object.hasOwn(body, name)) return body[name];
    return new PropertyReference(this, []).member(name);
  }
}

/** A property that only a deployment knows. */
class PropertyReference extends Reference {
  readonly text: string;
  readonly #of: ResourceReference;
  readonly #path: string[];

  constructor(of: ResourceReference, path: string[]) {
    super();
    this.#of = of;
    this.#path = path;
    this.text = [of.resource.names.join('/'), ...path].join('.');
  }

  member(name: string): Value {
    const path = [...this.#path, name];
    const { type, resource } = this.#of;
    const further = new PropertyReference(this.#of, path);
    if (type === undefined) return further;
    const value = runtimeValue(type.body, path, type.resolve, further.text);
    if (value === undefined)
      throw new BicepError(`${resource.type} has no ${path.join('.')}`, resource.place);
    return value instanceof Known && value.type === 'object' ? further : value;
  }
}

/** A resource or a module whose condition does not hold. */
export class AbsentReference extends Reference {
  readonly text = undefined;
  readonly symbol: string;
  readonly #place: Place;

  constructor(symbol: string, place: Place) {
    super();
    this.symbol = symbol;
    this.#place = place;
  }

  member(): never {
    throw new BicepError(`${this.symbol} is used although it is not deployed`, this.#place);
  }
}

/** A module by its symbol. */
export class ModuleReference extends Reference {
  readonly text = undefined;
  readonly #outputs: (name: string) => Value;
  readonly #name: Value;

  constructor(name: Value, outputs: (name: string) => Value) {
    super();
    this.#name = name;
    this.#outputs = outputs;
  }

  member(name: string): Value {
    if (name === 'name') return this.#name;
    if (name === 'outputs') return new OutputsReference(this.#outputs);
    return runtimeText(name);
  }
}

class OutputsReference extends Reference {
  readonly text = undefined;
  readonly #outputs: (name: string) => Value;

  constructor(outputs: (name: string) => Value) {
    super();
    this.#outputs = outputs;
  }

  member(name: string): Value {
    return this.#outputs(name);
  }
}

/** The id of a resource: learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-resource */
export function resourceId(type: string, names: string[], resourceGroup: string, scope?: string): string {
  const subscription = `/subscriptions/${subscriptionId}`;
  if (type === 'Microsoft.Resources/resourceGroups') return `${subscription}/resourceGroups/${names[0]}`;
  return `${scope ?? `${subscription}/resourceGroups/${resourceGroup}`}/providers/${resourcePath(type, names)}`;
}
