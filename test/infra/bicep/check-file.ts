import { decorators, functions } from './functions.ts';
import { type BicepFile, bodyOf, type Declaration, type Expression, entryOf, partsOf } from './syntax.ts';
import type { Place } from './tokens.ts';

export interface Fault {
  place: Place;
  message: string;
}

/** Which decorators fit a declaration: those for texts and lists, for numbers, and for both. */
const forTypes: Record<string, RegExp> = {
  minLength: /^(string|array|.*\])/,
  maxLength: /^(string|array|.*\])/,
  minValue: /^int/,
  maxValue: /^int/,
  secure: /^(string|object)/,
};
const resourceEntries = ['name', 'parent', 'scope'];
/** What a resource says before it is deployed. */
const knownBefore = ['id', 'name', 'type', 'apiVersion'];

/** What is wrong with one file, as far as it shows without values and without the types of Azure. */
export function checkFile(file: BicepFile): Fault[] {
  const faults: Fault[] = [];
  const symbols = new Map<string, Declaration>();
  for (const one of file.declarations) {
    if (one.kind === 'output') continue;
    if (symbols.has(one.name)) faults.push({ place: one.place, message: `${one.name} is declared twice` });
    symbols.set(one.name, one);
  }
  const used = new Set<string>();
  for (const one of file.declarations) {
    const report = (message: string, place: Place = one.place) => faults.push({ place, message });
    checkDecorators(one, report);
    const values = 'value' in one && one.value !== undefined ? [one.value] : [];
    for (const value of [...values, ...one.decorators.flatMap(({ args }) => args)]) {
      walk(value, new Set(), (inner, local) => {
        if (inner.kind === 'name' && !local.has(inner.name)) {
          used.add(inner.name);
          if (inner.name !== 'az' && inner.name !== 'sys' && !symbols.has(inner.name))
            report(`${inner.name} is not declared`, inner.place);
        }
        if (inner.kind === 'call') checkCall(inner, one, file.targetScope, report);
      });
    }
    if (one.kind === 'resource' || one.kind === 'module') checkBody(one, symbols, report);
  }
  const names = file.declarations.filter(({ kind }) => kind === 'output').map(({ name }) => name);
  for (const one of file.declarations) {
    const isNeeded =
      one.kind === 'param' || one.kind === 'var' || (one.kind === 'resource' && one.isExisting);
    if (isNeeded && !used.has(one.name))
      faults.push({ place: one.place, message: `${one.name} is not used` });
    if (one.kind === 'output' && names.filter((name) => name === one.name).length > 1)
      faults.push({ place: one.place, message: `The output ${one.name} is declared twice` });
  }
  return faults;
}

/** The symbols that a declaration refers to, directly or through others, `dependsOn` included. */
export function dependenciesOf(file: BicepFile, name: string, found = new Set<string>()): Set<string> {
  for (const one of file.declarations) {
    if (one.name !== name || one.kind === 'output' || !('value' in one) || one.value === undefined) continue;
    walk(one.value, new Set(), (inner, local) => {
      if (inner.kind !== 'name' || local.has(inner.name) || found.has(inner.name)) return;
      found.add(inner.name);
      dependenciesOf(file, inner.name, found);
    });
  }
  return found;
}

/** Visits an expression and all inside it, with the names that `for` and lambdas declare there. */
export function walk(
  expression: Expression,
  local: Set<string>,
  visit: (expression: Expression, local: Set<string>) => void,
): void {
  visit(expression, local);
  if (expression.kind === 'for') {
    walk(expression.list, local, visit);
    const { item, index } = expression;
    walk(expression.body, new Set([...local, item, ...(index === undefined ? [] : [index])]), visit);
    return;
  }
  const inside = expression.kind === 'lambda' ? new Set([...local, ...expression.params]) : local;
  for (const part of partsOf(expression)) walk(part, inside, visit);
}

type Report = (message: string, place?: Place) => void;

function checkDecorators(declaration: Declaration, report: Report): void {
  const names = declaration.decorators.map(({ name }) => name);
  for (const { name, args, place } of declaration.decorators) {
    const expected = decorators[name];
    if (expected === undefined) report(`Unknown decorator @${name}`, place);
    else if (args.length !== expected) report(`@${name} takes ${expected} arguments`, place);
    if (names.filter((one) => one === name).length > 1) report(`@${name} is given twice`, place);
    const type = 'type' in declaration ? declaration.type : '';
    if (name in forTypes && !forTypes[name]!.test(type))
      report(`@${name} does not fit ${declaration.name}`, place);
    if (name === 'allowed' && declaration.kind !== 'param') report(`@${name} is for parameters`, place);
  }
}

function checkCall(
  { name, args, of, place }: Expression & { kind: 'call' },
  declaration: Declaration,
  targetScope: string,
  report: Report,
): void {
  if (of !== undefined && !(of.kind === 'name' && (of.name === 'az' || of.name === 'sys'))) {
    report(`The function ${name} of a resource is not supported`, place);
    return;
  }
  const known = functions[name];
  if (known === undefined) {
    report(`Unknown function ${name}`, place);
    return;
  }
  const [least, most] = known.args;
  if (args.length < least || args.length > most)
    report(`${name} cannot take ${args.length} arguments`, place);
  const isElsewhere = known.scopes !== undefined && !known.scopes.includes(targetScope);
  if (isElsewhere && !(name === 'resourceGroup' && args.length > 0))
    report(`${name} cannot be called at the scope ${targetScope}`, place);
  if ((name === 'utcNow' || name === 'newGuid') && declaration.kind !== 'param')
    report(`${name} can only be the default of a parameter`, place);
}

function checkBody(
  declaration: Declaration & { kind: 'resource' | 'module' },
  symbols: Map<string, Declaration>,
  report: Report,
): void {
  const body = bodyOf(declaration.value);
  const keys = body.entries.map(({ key }) => (key.kind === 'literal' ? String(key.value) : ''));
  const allowed =
    declaration.kind === 'module'
      ? ['name', 'scope', 'params', 'dependsOn']
      : declaration.isExisting
        ? resourceEntries
        : undefined;
  for (const key of keys)
    if (allowed?.includes(key) === false) report(`${declaration.name} cannot have ${key}`);
  if (!keys.includes('name')) report(`${declaration.name} has no name`);
  if (
    declaration.kind === 'resource' &&
    !/^[\w.]+(\/\w+)+@\d{4}-\d\d-\d\d(-preview)?$/.test(declaration.reference)
  )
    report(`${declaration.reference} is not a resource type with its version`);

  const dependsOn = entryOf(body, 'dependsOn');
  if (dependsOn !== undefined && dependsOn.kind !== 'array') report('dependsOn must be an array');
  for (const item of dependsOn?.kind === 'array' ? dependsOn.items : []) {
    const target = item.kind === 'index' ? item.of : item;
    const kind = target.kind === 'name' ? symbols.get(target.name)?.kind : undefined;
    if (kind !== 'resource' && kind !== 'module')
      report('dependsOn names a resource or a module', item.place);
  }

  const early = [entryOf(body, 'name'), conditionOf(declaration.value)].filter((one) => one !== undefined);
  for (const one of early) checkEarly(one, symbols, report);
}

function conditionOf(value: Expression): Expression | undefined {
  if (value.kind === 'if') return value.condition;
  return value.kind === 'for' ? conditionOf(value.body) : undefined;
}

/** Names and conditions must be known when the deployment starts. */
function checkEarly(expression: Expression, symbols: Map<string, Declaration>, report: Report): void {
  walk(expression, new Set(), (inner) => {
    if (inner.kind === 'name') {
      const declared = symbols.get(inner.name);
      if (declared?.kind === 'var') checkEarly(declared.value, symbols, report);
    }
    if (inner.kind !== 'member') return;
    const base = inner.of.kind === 'certain' ? inner.of.of : inner.of;
    const kind = base.kind === 'name' ? symbols.get(base.name)?.kind : undefined;
    if (
      (kind === 'resource' && !knownBefore.includes(inner.name)) ||
      (kind === 'module' && inner.name !== 'name')
    )
      report(`${inner.name} is not known when the deployment starts`, inner.place);
  });
}
