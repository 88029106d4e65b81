import { describe, expect, it } from 'vitest';
import { ConfigurationError, describeError, RetriableError, SyncError } from '../src/errors.ts';

describe('describeError', () => {
  it('returns the message and hint of a SyncError', () => {
    const error = new ConfigurationError('DATAVERSE_URL is missing', {
      hint: 'set it in local.settings.json',
    });
    expect(describeError(error)).toEqual({
      message: 'DATAVERSE_URL is missing',
      hint: 'set it in local.settings.json',
    });
  });

  it('returns the message of any other error', () => {
    expect(describeError(new TypeError('no'))).toEqual({ message: 'no' });
    expect(describeError('text')).toEqual({ message: 'text' });
  });

  it('leaves the cause on the error', () => {
    const cause = new Error('reset');
    const error = new RetriableError('busy', { cause, retryAfterSeconds: 3 });
    expect(error).toBeInstanceOf(SyncError);
    expect(error.cause).toBe(cause);
    expect(error.retryAfterSeconds).toBe(3);
  });
});
