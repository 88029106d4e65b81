import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  describeError,
  describeFailure,
  describeForLog,
  RetriableError,
  SyncError,
} from '../src/errors.ts';

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

  it('of any other error is for the log alone', () => {
    const error = new TypeError('row 7 of Jane Doe');
    expect(JSON.stringify(describeFailure(error, 'run-1'))).not.toContain('Jane');
    expect(describeFailure(error, 'run-1').hint).toContain('run-1');
    expect(describeForLog(error)).toBe(error.stack);
    expect(describeForLog('text')).toBe('text');
    const known = new SyncError('Busy.', { hint: 'Wait.' });
    expect(describeFailure(known, 'run-1')).toEqual({ error: 'Busy.', hint: 'Wait.' });
    expect(describeForLog(known)).toBe('Busy.');
  });

  it('leaves the cause on the error', () => {
    const cause = new Error('reset');
    const error = new RetriableError('busy', { cause, retryAfterSeconds: 3 });
    expect(error).toBeInstanceOf(SyncError);
    expect(error.cause).toBe(cause);
    expect(error.retryAfterSeconds).toBe(3);
  });
});
