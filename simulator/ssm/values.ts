/** Small rules of Run Command: its filters, its counts and percentages, its ids and timers. */
import { type ApiCall, ApiError, notModelled, type Random } from '../core.ts';
import type { Command } from './command.ts';
import { describeCommand } from './describe.ts';
import type { ShellDocument } from './documents.ts';
import type { Parameters as Values } from './execution.ts';

const DEFAULT_TIMEOUT_SECONDS = 3600;

export function matches(call: ApiCall, command: Command, { key, value }: { key: string; value: string }): boolean {
  switch (key) {
    case 'InvokedAfter':
    case 'InvokedBefore': {
      const at = Date.parse(value);
      if (Number.isNaN(at)) throw new ApiError('ValidationException', `${key}: ${value} is no ISO 8601 time`);
      return key === 'InvokedAfter' ? command.requestedAt >= at : command.requestedAt < at;
    }
    case 'DocumentName':
      return command.document.name === value;
    case 'Status':
      return describeCommand(command).Status === value;
    default:
      return notModelled(call, `filter ${key}`);
  }
}

export function executionSeconds(document: ShellDocument, values: Values): number {
  const name = /^\{\{ *(\w+) *\}\}$/.exec(document.timeoutSeconds)?.[1];
  return Number(name === undefined ? document.timeoutSeconds : values[name]?.[0]) || DEFAULT_TIMEOUT_SECONDS;
}

/** A number, or a percentage of the targets, rounded down. */
export function share(value: string, targets: number): number {
  const number = Number.parseInt(value, 10);
  return value.endsWith('%') ? Math.floor((targets * number) / 100) : number;
}

export function count(name: string, value: string | undefined, otherwise: string, pattern: RegExp): string {
  if (value === undefined) return otherwise;
  if (!pattern.test(value)) throw validation(`${name}: ${value} is neither a number nor a percentage`);
  return value;
}

export function validation(message: string): ApiError {
  return new ApiError('ValidationException', `1 validation error detected: ${message}`);
}

export function uuid(random: Random): string {
  const digits = Array.from({ length: 32 }, (_, i) =>
    (i === 12 ? 4 : i === 16 ? random.between(8, 11) : random.between(0, 15)).toString(16),
  );
  const hex = digits.join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A timer of the world's clock that does not keep a process alive. */
export function later(milliseconds: number, then: () => void): void {
  setTimeout(then, Math.max(0, milliseconds)).unref();
}
