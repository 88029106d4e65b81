/** An error as the service sends it: status, code and message in an OData error body. */
export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;
  /** More members of the error object, sent if the request asks for annotations. */
  readonly details: Record<string, string>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { headers?: Record<string, string>; details?: Record<string, string> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = more.headers ?? {};
    this.details = more.details ?? {};
  }
}

export function badRequest(message: string, code = '0x80060888'): ServiceError {
  return new ServiceError(400, code, message);
}

export function noSuchProperty(name: string, type: string): ServiceError {
  return badRequest(`Could not find a property named '${name}' on type 'Microsoft.Dynamics.CRM.${type}'.`);
}

export function noSuchSegment(segment: string): ServiceError {
  return new ServiceError(404, '0x8006088a', `Resource not found for the segment '${segment}'.`);
}

export function methodNotAllowed(method: string): ServiceError {
  return new ServiceError(
    405,
    '0x80060888',
    `The requested resource does not support http method '${method}'.`,
  );
}

export function noSuchRow(table: string, id: string): ServiceError {
  return new ServiceError(404, '0x80040217', `${table} With Id = ${id} Does Not Exist`);
}
