import type { Attributes } from '../../telemetry/monitor-client.ts';
import type { Call } from './call.ts';

/**
 * The name of a request's span: method, entity set and what the request reads or writes, without ids and numbers. So
 * there are few names, and requests of one kind can be compared.
 * @example
 * requestSpanName({ operation: 'read page 3 of accounts', entitySet: 'accounts', url }); // Dataverse GET accounts page
 */
export function requestSpanName(call: Call): string {
  const { method = 'GET', entitySet = '', subject = subjectOf(call) } = call;
  return ['Dataverse', method, entitySet, subject].filter((part) => part !== '').join(' ');
}

/** `read the entity definitions` → `entity definitions`. */
function subjectOf({ operation, entitySet }: Call): string {
  const words = operation.split(/\s+/).filter((word) => word !== entitySet && !/^\d+$/.test(word));
  const [verb = '', ...rest] = words.filter((word) => !/^(?:a|an|the|of)$/.test(word));
  return (rest.length === 0 ? verb : rest.join(' ')).slice(0, 80);
}

/** The attributes of a request before it is sent. Not its address: the query holds values, and a link holds a cookie. */
export function requestSpanAttributes({ method = 'GET', entitySet }: Call, origin: string): Attributes {
  return {
    'http.request.method': method,
    'server.address': new URL(origin).hostname,
    'dataverse.entity_set': entitySet,
  };
}
