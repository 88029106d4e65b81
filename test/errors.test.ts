import { describe, expect, it } from 'vitest';
import { ConfigurationError, describeError, RetriableError, SyncError } from '../src/errors.ts';

describe('describeError', () => {
  it('gives message and hint of our own errors', () => {
    const error = new ConfigurationError('DATAVERSE_URL is missing', {
      hint: 'set it in local.settings.json',
    });
    expect(describeError(error)).toEqual({
      message: 'DATAVERSE_URL is missing',
      hint: 'set it in local.settings.json',
    });
  });

  it('gives the message of anything else', () => {
    expect(describeError(new TypeError('no'))).toEqual({ message: 'no' });
    expect(describeError('text')).toEqual({ message: 'text' });
  });

  it('keeps the cause', () => {
    const cause = new Error('reset');
    const error = new RetriableError('busy', { cause, retryAfterSeconds: 3 });
    expect(error).toBeInstanceOf(SyncError);
    expect(error.cause).toBe(cause);
    expect(error.retryAfterSeconds).toBe(3);
  });
});
