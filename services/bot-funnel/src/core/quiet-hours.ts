/** Hours in which the bot begins nothing by itself. */
import type { FunnelSnapshot } from './funnel.ts';
import { later, minuteOfDay } from './time.ts';

type QuietHours = NonNullable<FunnelSnapshot['quietHours']>;

const minuteMs = 60_000;
const minutesOfDay = 1_440;

/** The time itself, or the end of the quiet hours that it falls into. Both ISO 8601 UTC. */
export function outsideQuietHours(at: string, quiet: QuietHours | undefined): string {
  if (quiet === undefined) return at;
  const from = minutesOf(quiet.from);
  const length = forward(from, minutesOf(quiet.to));
  const { minute, msOfMinute } = minuteOfDay(at, quiet.utcOffsetMinutes);
  const since = forward(from, minute);
  return since < length ? later(at, (length - since) * minuteMs - msOfMinute) : at;
}

/** Minutes from one time of the day to the next time that the clock shows the other. */
const forward = (from: number, to: number): number => (to - from + minutesOfDay) % minutesOfDay;

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * 60 + minutes;
}
