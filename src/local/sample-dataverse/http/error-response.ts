import { Fragment } from './fragment.ts';
import type { ServiceError } from './service-error.ts';
import type { ServiceRequest, ServiceResponse } from './service-request.ts';

/** An error as an OData error body. It has details if the request asks for annotations. */
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
