import { checkName, encodeValue, stringLiteral } from '../../dataverse/read/query.ts';
import type { Call } from '../../dataverse/transport/call.ts';
import { type Reply, readObject } from '../../dataverse/transport/reply.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';
import { bracketSafe, Literal, literalOf } from '../query/literal.ts';
import { Reference, toBody } from '../rows/reference.ts';
import { withoutContext } from '../rows/without-context.ts';

/** A parameter of a function. A `Reference` is a row, `guid` and `raw` are literals, arrays and objects become JSON. */
export type FunctionParameter =
  | string
  | number
  | bigint
  | boolean
  | Date
  | null
  | Literal
  | Reference
  | readonly unknown[]
  | { readonly [member: string]: unknown };

/** @internal
 * `RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["account"]`. Parameters are aliases, so that any value fits in.
 * learn.microsoft.com: "Use Web API functions".
 */
export function functionPath(
  name: string,
  parameters: Readonly<Record<string, FunctionParameter>> = {},
): string {
  const entries = Object.entries(parameters);
  const names = entries.map(
    ([parameter], index) => `${checkName(parameter, 'parameter name')}=@p${index + 1}`,
  );
  const values = entries.map(([, value], index) => `@p${index + 1}=${encodeValue(parameterText(value))}`);
  return `${checkName(name, 'function name')}(${names.join(',')})${values.length === 0 ? '' : `?${values.join('&')}`}`;
}

function parameterText(value: FunctionParameter): string {
  if (typeof value === 'string') return stringLiteral(value);
  if (value === null || typeof value !== 'object' || value instanceof Date || value instanceof Literal) {
    return literalOf(value as string | number | bigint | boolean | Date | null, false);
  }
  return bracketSafe(toJson(withReferences(value)));
}

/** @internal The request of a function. @param path where it is bound to: `systemusers(…)/` */
export function functionCall(
  path: string,
  name: string,
  parameters: Readonly<Record<string, FunctionParameter>> | undefined,
): Call {
  return {
    operation: `call the function ${name}`,
    url: `${path}${functionPath(boundName(path, name), parameters)}`,
  };
}

/** @internal The request of an action. learn.microsoft.com: "Use Web API actions". */
export function actionCall(
  path: string,
  name: string,
  parameters: Readonly<Record<string, unknown>> = {},
): Call {
  return {
    operation: `call the action ${name}`,
    method: 'POST',
    url: `${path}${checkName(boundName(path, name), 'action name')}`,
    body: toJson(toActionBody(parameters)),
  };
}

/** References in parameters are rows, also in lists. The rows of an action can have references as their lookups. */
function toActionBody(parameters: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(parameters)) {
    if (value instanceof Reference || isReferences(value)) body[name] = withReferences(value);
    else Object.assign(body, toBody({ [name]: value }));
  }
  return body;
}

function isReferences(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((each) => each instanceof Reference);
}

/** A reference as `{"@odata.id":"accounts(…)"}`, also in a list. */
function withReferences(value: unknown): unknown {
  if (value instanceof Reference) return { '@odata.id': String(value) };
  return Array.isArray(value) ? value.map(withReferences) : value;
}

/** Bound functions and actions have the namespace before their names. */
function boundName(path: string, name: string): string {
  return path === '' || name.includes('.') ? name : `Microsoft.Dynamics.CRM.${name}`;
}

/** @internal The result of a function or action; undefined if there is none. */
export function resultOf(reply: Reply): Record<string, unknown> | undefined {
  return reply.body.length === 0 ? undefined : withoutContext(readObject(reply));
}
