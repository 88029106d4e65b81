import { checkParameter } from './check-parameter.ts';
import { deployResource } from './deploy-resource.ts';
import type { DeploymentContext } from './deployment.ts';
import { evaluate, itemsOf, type Scope } from './evaluate-expression.ts';
import { AbsentReference, ModuleReference, ResourceReference } from './references.ts';
import { type BicepFile, bodyOf, type Declaration, type Expression, entryOf } from './syntax.ts';
import { BicepError, type Place } from './tokens.ts';
import { isObject, Reference, settle, type Value } from './values.ts';

export interface TemplateTarget {
  resourceGroup: string;
  /** The symbols of the modules that lead here, for messages; empty for the main file. */
  module: string;
}

/** One file with its parameters, on its way through a deployment. Symbols are evaluated when something uses them. */
export class TemplateRun implements Scope {
  readonly path: string;
  readonly file: BicepFile;
  readonly context: DeploymentContext;
  readonly target: TemplateTarget;
  readonly #given: Record<string, Value>;
  readonly #values = new Map<string, Value>();
  readonly #running = new Set<string>();

  constructor(
    context: DeploymentContext,
    path: string,
    file: BicepFile,
    given: Record<string, Value>,
    target: TemplateTarget,
  ) {
    this.context = context;
    this.path = path;
    this.file = file;
    this.target = target;
    this.#given = given;
  }

  get resourceGroup(): string {
    return this.target.resourceGroup;
  }

  readonly readFile = (path: string): string =>
    this.context.options.read(this.context.resolve(path, this.path));

  /** Evaluates everything and returns the outputs. Faults are reported to the context. */
  runAll(): Record<string, Value> {
    for (const declaration of this.file.declarations) {
      if (declaration.kind !== 'output') this.#attempt(declaration, () => this.#symbol(declaration));
    }
    const outputs: Record<string, Value> = {};
    for (const { kind, name } of this.file.declarations) {
      if (kind === 'output') outputs[name] = this.output(name);
    }
    return outputs;
  }

  /** An output by its name. @throws BicepError if there is none */
  output(name: string): Value {
    const declared = this.file.declarations.find((one) => one.kind === 'output' && one.name === name);
    if (declared?.kind !== 'output') {
      throw new BicepError(`${this.path} has no output ${name}`, { line: 1, column: 1 });
    }
    const value = this.#attempt(declared, () => settle(evaluate(declared.value, this)));
    const asParameter = { ...declared, kind: 'param' as const, decorators: [] };
    if (value !== undefined)
      for (const fault of checkParameter(asParameter, value)) this.report(declared.place, fault);
    return value;
  }

  lookUp(name: string, at: Expression): Value {
    const declaration = this.file.declarations.find((one) => one.name === name && one.kind !== 'output');
    if (declaration === undefined) throw new BicepError(`${name} is not declared`, at.place);
    return this.#symbol(declaration);
  }

  report(place: Place, message: string): void {
    this.context.report(this.path, place, message);
  }

  #attempt(declaration: Declaration, run: () => Value): Value {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof BicepError)) throw error;
      this.report(error.place.line === 1 ? declaration.place : error.place, error.message);
      return undefined;
    }
  }

  #symbol(declaration: Declaration): Value {
    const { name, place } = declaration;
    if (this.#values.has(name)) return this.#values.get(name);
    if (this.#running.has(name)) throw new BicepError(`${name} refers to itself`, place);
    this.#running.add(name);
    try {
      const value = this.#evaluate(declaration);
      this.#values.set(name, value);
      return value;
    } finally {
      this.#running.delete(name);
    }
  }

  #evaluate(declaration: Declaration): Value {
    switch (declaration.kind) {
      case 'param':
        return this.#parameter(declaration);
      case 'var':
      case 'output':
        return settle(evaluate(declaration.value, this));
      case 'resource':
      case 'module':
        return this.#each(declaration.value, this, (body, scope) =>
          declaration.kind === 'module'
            ? this.#module(declaration, body, scope)
            : deployResource(this, declaration, body, scope),
        );
    }
  }

  #parameter(declaration: Declaration & { kind: 'param' }): Value {
    const { name, value, place } = declaration;
    const isGiven = Object.hasOwn(this.#given, name);
    if (!isGiven && value === undefined && !declaration.type.endsWith('?')) {
      throw new BicepError(`The parameter ${name} is missing`, place);
    }
    const result = isGiven ? this.#given[name] : value === undefined ? null : evaluate(value, this);
    for (const fault of checkParameter(declaration, result)) this.report(place, fault);
    return result;
  }

  /** One reference for each body: an array of them for a `for`. */
  #each(
    value: Expression,
    scope: Scope,
    run: (body: Expression & { kind: 'object' }, scope: Scope) => Value,
  ): Value {
    if (value.kind === 'for') return itemsOf(value, scope).map((one) => this.#each(value.body, one, run));
    if (value.kind === 'if') {
      const holds = evaluate(value.condition, scope);
      if (typeof holds !== 'boolean') throw new BicepError('if needs true or false', value.place);
      if (!holds) return new AbsentReference(`A resource or module with this condition`, value.place);
    }
    return run(bodyOf(value), scope);
  }

  #module(
    declaration: Declaration & { kind: 'module' },
    body: Expression & { kind: 'object' },
    scope: Scope,
  ): Value {
    const { place, name } = declaration;
    const path = this.context.resolve(declaration.path, this.path);
    const file = this.context.file(path, { path: this.path, place });
    const of = (key: string) => {
      const entry = entryOf(body, key);
      return entry === undefined ? undefined : evaluate(entry, scope);
    };
    const resourceGroup = this.#moduleScope(of('scope'), file, place);
    const given = settle(of('params') ?? {});
    if (!isObject(given)) throw new BicepError('params must be an object', place);
    if (file === undefined) return new ModuleReference(of('name'), () => undefined);
    for (const one of Object.keys(given)) {
      const isKnown = file.declarations.some((other) => other.kind === 'param' && other.name === one);
      if (!isKnown) this.report(place, `${declaration.path} has no parameter ${one}`);
    }
    const isReference = Object.entries(given).find(([, value]) => value instanceof Reference);
    if (isReference) this.report(place, `The parameter ${isReference[0]} is not a value`);
    for (const one of file.declarations) {
      const isRequired = one.kind === 'param' && one.value === undefined && !one.type.endsWith('?');
      if (isRequired && !Object.hasOwn(given, one.name))
        this.report(place, `The module ${name} needs the parameter ${one.name}`);
    }
    const module = this.target.module === '' ? name : `${this.target.module}.${name}`;
    const run = new TemplateRun(this.context, path, file, given, { resourceGroup, module });
    run.runAll();
    return new ModuleReference(of('name'), (output) => run.output(output));
  }

  #moduleScope(scope: Value, file: BicepFile | undefined, place: Place): string {
    const wanted = file?.targetScope ?? 'resourceGroup';
    const isGroup =
      scope instanceof ResourceReference && scope.resource.type === 'Microsoft.Resources/resourceGroups';
    if (scope === undefined) {
      if (wanted !== this.file.targetScope)
        this.report(place, `The module needs a scope: it deploys to ${wanted}`);
      return this.resourceGroup;
    }
    if (!isGroup) {
      const isOwnGroup = isObject(scope) && typeof scope['name'] === 'string';
      if (!isOwnGroup) this.report(place, 'The scope of the module is not a resource group');
      return isOwnGroup ? String(scope['name']) : '';
    }
    if (wanted !== 'resourceGroup')
      this.report(place, `The module deploys to ${wanted}, not to a resource group`);
    return scope.resource.names[0]!;
  }
}
