import type { Dataverse } from '../../dataverse.ts';
import { setAndKey } from '../../http/path.ts';
import { json, noContent } from '../../http/responses.ts';
import { badRequest, methodNotAllowed, ServiceError } from '../../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../../http/service-request.ts';
import { NumberText, type Payload, parsePayload } from '../../write/payload.ts';
import { metadataId, option } from '../labels.ts';
import type { MetadataItem } from '../metadata-item.ts';
import type { ChoiceOption, Column, Model } from '../model.ts';
import { requirePrivilege } from '../privileges.ts';
import { labelText, textOf } from './payload-texts.ts';

/** Shared choices as `OptionSetMetadata` items. */
export function globalChoiceItems(model: Model): MetadataItem[] {
  return [...model.globalChoices].map(([name, options]) => ({
    type: 'OptionSetMetadata',
    properties: {
      MetadataId: metadataId('choice', name),
      Name: name,
      IsGlobal: true,
      OptionSetType: 'Picklist',
      Options: options.map(option),
    },
    navigations: {},
  }));
}

/** Creates or deletes a shared choice (learn.microsoft.com: Create and update choices using the Web API). */
export function writeGlobalChoice(
  { store }: Dataverse,
  request: ServiceRequest,
  segment: string,
): ServiceResponse {
  requirePrivilege(store, 'prvWriteOptionSet');
  const { globalChoices } = store.model;
  const { key } = setAndKey(segment);
  if (request.method === 'POST' && key === undefined) {
    const payload = parsePayload(request.body);
    const name = textOf(payload, 'Name').toLowerCase();
    if (globalChoices.has(name)) throw badRequest(`An OptionSet with the name ${name} exists.`, '0x80048403');
    globalChoices.set(name, optionsIn(payload['Options']));
    store.schemaChanged();
    const path = `GlobalOptionSetDefinitions(${metadataId('choice', name)})`;
    return noContent({ 'odata-entityid': `${request.origin}${apiRoot}/${path}` });
  }
  if (request.method !== 'DELETE') throw methodNotAllowed(request.method);
  const name = /^Name='(.*)'$/.exec(key ?? '')?.[1] ?? '';
  if (!globalChoices.has(name)) throw new ServiceError(404, '0x80060888', `There is no option set ${name}.`);
  const used = [...store.model.tables.values()].some((table) =>
    table.columns.some((column) => column.choice?.global === name),
  );
  if (used) throw badRequest(`The OptionSet ${name} cannot be deleted: a column uses it.`, '0x8004f01f');
  globalChoices.delete(name);
  store.schemaChanged();
  return noContent();
}

/** Answers `InsertOptionValue`, `UpdateOptionValue` and `DeleteOptionValue`. Undefined for other names. */
export function changeOption(
  dataverse: Dataverse,
  request: ServiceRequest,
  action: string,
): ServiceResponse | undefined {
  const verb = /^(Insert|Update|Delete)OptionValue$/.exec(action)?.[1];
  if (verb === undefined || request.method !== 'POST') return undefined;
  const { store } = dataverse;
  requirePrivilege(store, 'prvWriteAttribute');
  const payload = parsePayload(request.body);
  const options = optionsOf(store.model, payload);
  const value = payload['Value'] instanceof NumberText ? Number(payload['Value'].digits) : undefined;
  const at = options.findIndex((each) => each.value === value);
  if (verb === 'Insert') {
    if (at >= 0) throw badRequest(`The value ${value} is already used.`, '0x80048403');
    const added = value ?? Math.max(199_999_999, ...options.map((each) => each.value)) + 1;
    options.push({ value: added, label: labelText(payload['Label']) ?? '' });
    store.schemaChanged();
    const context = `${request.origin}${apiRoot}/$metadata#Microsoft.Dynamics.CRM.InsertOptionValueResponse`;
    return json({ '@odata.context': context, NewOptionValue: added });
  }
  if (at < 0) throw badRequest(`There is no option with the value ${value}.`, '0x80048403');
  if (verb === 'Delete') options.splice(at, 1);
  else options[at]!.label = labelText(payload['Label']) ?? options[at]!.label;
  store.schemaChanged();
  return noContent();
}

function optionsOf(model: Model, payload: Payload): ChoiceOption[] {
  const { OptionSetName: shared, EntityLogicalName: table, AttributeLogicalName: name } = payload;
  const found =
    typeof shared === 'string'
      ? model.globalChoices.get(shared)
      : model.tables.get(String(table))?.columns.find((column) => column.logicalName === name)?.choice
          ?.options;
  if (found === undefined) throw badRequest('There is no such option set.', '0x80048403');
  return found;
}

/** The choice of a column that is created: its own options, or those of a shared choice. */
export function choiceOf(model: Model, payload: Payload, kind: 'choice' | 'multichoice'): Column['choice'] {
  const bound = payload['GlobalOptionSet@odata.bind'];
  if (typeof bound !== 'string') {
    const own = payload['OptionSet'] as Payload | undefined;
    return { kind, options: optionsIn(own?.['Options']) };
  }
  const name = /\(Name='(.*)'\)$/.exec(bound)?.[1] ?? '';
  const options = model.globalChoices.get(name);
  if (options === undefined) throw badRequest(`There is no option set ${name}.`, '0x80048403');
  return { kind, options, global: name };
}

function optionsIn(list: unknown): ChoiceOption[] {
  return ((Array.isArray(list) ? list : []) as Payload[]).map((each, index) => {
    const value = each['Value'];
    return {
      value: value instanceof NumberText ? Number(value.digits) : 200_000_000 + index,
      label: labelText(each['Label']) ?? '',
    };
  });
}
