import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../../src/local/functions-host/host.ts';
import { TerminalLog } from '../../../src/local/terminal/terminal-log.ts';

const entry = (message: string, more: Partial<LogEntry> = {}): LogEntry => ({
  level: 'warning',
  category: 'Function.fetchEntity.User',
  message,
  invocationId: 'one',
  ...more,
});
const executed = (more: Partial<LogEntry> = {}) =>
  entry("Executed 'Functions.fetchEntity' (Failed): Error: x\n    at", {
    level: 'error',
    category: 'Function.fetchEntity',
    ...more,
  });

describe('TerminalLog', () => {
  it('shows warnings and errors, without their fields', () => {
    const log = new TerminalLog();
    expect(log.lineOf(entry('Fetching account failed. {"runId":"1","entity":"account"}'))).toBe(
      '  warning in fetchEntity: Fetching account failed.',
    );
    expect(log.lineOf(entry('A line.', { level: 'information' }))).toBeUndefined();
    expect(log.lineOf(entry('x', { category: 'Function.syncStart.User' }))).toBeUndefined();
  });

  it('tells a fault once: the line of the host only where the app said nothing', () => {
    const log = new TerminalLog();
    expect(log.lineOf(executed({ invocationId: 'silent' }))).toContain('error in fetchEntity: Executed');
    expect(log.lineOf(entry('Fetching failed: TypeError: x\n    at y'))).toBe(
      '  warning in fetchEntity: Fetching failed: TypeError: x',
    );
    expect(log.lineOf(executed())).toBeUndefined();
    expect(log.lineOf(executed())).toContain('Executed');
  });
});
