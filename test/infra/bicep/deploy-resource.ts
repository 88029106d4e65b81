import { checkValue } from './check-value.ts';
import { evaluate, type Scope } from './evaluate-expression.ts';
import { type DeployedResource, ResourceReference, resourceId } from './references.ts';
import { type ResourceType, scopeBits } from './resource-types.ts';
import { type Declaration, type Expression, entryOf } from './syntax.ts';
import type { TemplateRun } from './template-run.ts';
import { BicepError } from './tokens.ts';
import { isObject, isRuntimeText, settle, type Value } from './values.ts';

/** Adds a resource to the deployment, and checks it against its type. @throws BicepError */
export function deployResource(
  run: TemplateRun,
  declaration: Declaration & { kind: 'resource' },
  body: Expression & { kind: 'object' },
  scope: Scope,
): ResourceReference {
  const { place, name: symbol, isExisting, reference } = declaration;
  const [type = '', apiVersion = ''] = reference.split('@');
  const of = (key: string): Value => {
    const entry = entryOf(body, key);
    return entry === undefined ? undefined : evaluate(entry, scope);
  };
  const parent = of('parent');
  const extended = of('scope');
  const leaf = of('name');
  if (typeof leaf !== 'string') throw new BicepError(`The name of ${symbol} is not text`, place);
  if (isRuntimeText(leaf)) run.report(place, `The name of ${symbol} is not known when the deployment starts`);
  if (parent !== undefined) checkParent(parent, type, symbol, place);
  if (extended !== undefined && !(extended instanceof ResourceReference)) {
    throw new BicepError(`The scope of ${symbol} is not a resource`, place);
  }
  const names = parent instanceof ResourceReference ? [...parent.resource.names, leaf] : leaf.split('/');
  if (type.split('/').length !== names.length + 1) {
    throw new BicepError(`${symbol} needs ${type.split('/').length - 1} names, or a parent`, place);
  }
  const properties = settle(
    Object.fromEntries(
      body.entries
        .filter(
          ({ key }) =>
            !['name', 'parent', 'scope', 'dependsOn'].includes(String((key as { value?: unknown }).value)),
        )
        .map(({ key, value }) => [String(evaluate(key, scope)), evaluate(value, scope)]),
    ),
  );
  if (!isObject(properties)) throw new BicepError(`${symbol} is not an object`, place);
  const resource: DeployedResource = {
    file: run.path,
    symbol,
    module: run.target.module,
    place,
    type,
    apiVersion,
    names,
    id: resourceId(type, names, run.resourceGroup, extended?.resource.id),
    isExisting,
    body: properties,
    ...(extended === undefined ? {} : { scope: extended.resource.id }),
  };
  const known = checkType(run, resource, reference, extended !== undefined);
  const twin = run.context.resources.find(({ id }) => id === resource.id);
  if (twin !== undefined && !isExisting && !twin.isExisting) {
    run.report(place, `${symbol} has the same name as ${twin.symbol} in ${twin.file}`);
  }
  run.context.resources.push(resource);
  return new ResourceReference(resource, known);
}

function checkParent(parent: Value, type: string, symbol: string, place: DeployedResource['place']): void {
  if (!(parent instanceof ResourceReference))
    throw new BicepError(`The parent of ${symbol} is not a resource`, place);
  const expected = type.slice(0, type.lastIndexOf('/'));
  if (parent.resource.type !== expected) {
    throw new BicepError(`The parent of ${symbol} must be ${expected}, not ${parent.resource.type}`, place);
  }
}

function checkType(
  run: TemplateRun,
  resource: DeployedResource,
  reference: string,
  isExtension: boolean,
): ResourceType | undefined {
  const { types } = run.context.options;
  if (types === undefined) return undefined;
  const { place, symbol, type } = resource;
  const known = types.find(reference);
  if (known === undefined) {
    const versions = types.versionsOf(type);
    const hint = versions.length === 0 ? 'Azure has no such type' : `known versions: ${versions.join(', ')}`;
    run.report(place, `${reference} is unknown: ${hint}`);
    return undefined;
  }
  if (`${known.name}` !== reference) run.report(place, `${reference} is written ${known.name}`);
  if (resource.isExisting) return known;
  const scope = isExtension ? 'extension' : run.file.targetScope;
  if ((known.writableScopes & scopeBits[scope]!) === 0) {
    run.report(place, `${symbol} cannot be deployed at the scope ${scope}`);
  }
  const whole = { name: resource.names.at(-1), ...resource.body };
  for (const fault of checkValue(whole, known.body, '', known.resolve))
    run.report(place, `${symbol}: ${fault}`);
  return known;
}
