import { Fragment } from './fragment.ts';
import type { ServiceRequest, ServiceResponse } from './service.ts';
import type { ServiceError } from './service-error.ts';

/** A refusal as an OData error body. Details are shown when annotations are asked for. */
export function errorResponse(error: ServiceError, request: ServiceRequest): ServiceResponse {
  const details = /include-annotations/.test(request.headers['prefer'] ?? '')
    ? Object.entries(error.details).map(([name, value]) => [`@Microsoft.PowerApps.CDS.${name}`, value])
    : [];
  const body = { error: { code: error.code, message: error.message, ...Object.fromEntries(details) } };
  return {
    status: error.status,
    headers: {
      'content-type': 'application/json; odata.metadata=minimal',
      'odata-version': '4.0',
      ...error.headers,
    },
    body: [new Fragment(JSON.stringify(body))],
  };
}
