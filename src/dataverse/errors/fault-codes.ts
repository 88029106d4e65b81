import { safeLine } from '../../safe-text.ts';

/**
 * The error codes of Dataverse that change what this client does.
 * learn.microsoft.com: "Web service error codes (Microsoft Dataverse)", "Service protection API limits".
 */
export const codes = {
  expiredVersionStamp: '0x80044352',
  changeTrackingNotEnabled: '0x80072491',
  changeTrackingNotEnabledForRelated: '0x80072492',
  notAMember: '0x80072560',
  privilegeDenied: '0x80040220',
  principalPrivilegeDenied: '0x80042f09',
  objectDoesNotExist: '0x80040217',
  noRowWithThatKey: '0x80060891',
  duplicateRecord: '0x80040237',
  duplicateKey: '0x80060892',
  duplicateFound: '0x80040333',
  noRetrieveMultiple: '0x80040800',
  resourceNotFound: '0x8006088a',
  queryRefused: '0x80060888',
  tooManyConditions: '0x8004430c',
  sqlTimeout: '0x80044151',
} as const;

/** Codes of transient faults, whatever the status. */
const transientCodes = new Set([
  '0x80072321', // combined execution time exceeds the service protection limit
  '0x80072322', // number of requests exceeds it
  '0x80072326', // number of concurrent requests exceeds it
  '0x80044150', // generic SQL error, including deadlock 1205
  '0x80044151', // SQL timeout
  '0x80071154', // concurrent operation failure
  '0x80048544', // query throttling
  '0x80048573', // query timeouts
  '0x80048574',
  '0x80048575',
]);

/** Whether a code means that the server rejected the request or rolled it back as a whole, so that a retry is safe. */
export function isRolledBack(code: string | undefined): boolean {
  return code !== undefined && transientCodes.has(code);
}

const transientStatuses = new Set([408, 429, 502, 503, 504]);

/** `0x80072322` in lower case, from the hexadecimal or the signed decimal form; undefined if there is no code. */
export function normalizeCode(code: unknown): string | undefined {
  if (typeof code === 'number' || (typeof code === 'string' && /^-\d{1,10}$/.test(code))) {
    return `0x${(Number(code) >>> 0).toString(16).padStart(8, '0')}`;
  }
  if (typeof code !== 'string' || code === '' || code === '0x0') return undefined;
  return safeLine(code.slice(0, 1000)).slice(0, 60).toLowerCase();
}

/** Whether the same request may succeed later. Dataverse's code takes precedence over the status. */
export function isTransient(status: number, code: string | undefined, message: string): boolean {
  if (code !== undefined && transientCodes.has(code)) return true;
  return transientStatuses.has(status) || /sql number: (1205|-2)\b/i.test(message);
}
