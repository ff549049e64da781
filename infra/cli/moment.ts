/** Times as people write them on the command line. */
import { InvalidArgumentError } from 'commander';

export const minuteMs = 60_000;
export const dayMs = 24 * 60 * minuteMs;
const unitsMs: Readonly<Record<string, number>> = { m: minuteMs, h: 60 * minuteMs, d: dayMs };

export const ago = (ms: number): Date => new Date(Date.now() - ms);

/** @throws {InvalidArgumentError} for what is neither a duration nor a time. */
export function moment(text: string): Date {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  if (count !== undefined) return ago(Number(count) * (unitsMs[unit] ?? 0));
  const [date = ''] = /^\d{4}-\d{2}-\d{2}(?=T\S+$|$)/.exec(text) ?? [];
  const [time, midnight] = [Date.parse(text), Date.parse(date)];
  // The 30th of February is read as the 2nd of March.
  const isDay = !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(date);
  if (!isDay || Number.isNaN(time)) {
    throw new InvalidArgumentError('write e.g. 7d, 12h, 30m or 2026-11-20T15:00:00Z');
  }
  return new Date(time);
}
