/**
 * Goal: nothing is begun in the quiet hours, and nothing outside of them is moved.
 * Method: times around both ends, over midnight and within a day; random times against a clock
 * that is read off minute by minute.
 */
import fc from 'fast-check';
import t from 'tap';
import { outsideQuietHours } from '../../src/core/quiet-hours.ts';

const night = { from: '22:00', to: '08:00', utcOffsetMinutes: -180 };
const noon = { from: '12:00', to: '13:30', utcOffsetMinutes: 0 };

await t.test('both ends, in the time of the customers', async (t) => {
  // 22:00 in Brazil is 01:00 UTC, 08:00 is 11:00.
  const cases = [
    ['2026-01-02T00:59:59.999Z', '2026-01-02T00:59:59.999Z'],
    ['2026-01-02T01:00:00.000Z', '2026-01-02T11:00:00.000Z'],
    ['2026-01-02T10:59:30.250Z', '2026-01-02T11:00:00.000Z'],
    ['2026-01-02T11:00:00.000Z', '2026-01-02T11:00:00.000Z'],
  ] as const;
  for (const [at, then] of cases) t.equal(outsideQuietHours(at, night), then);
  t.equal(outsideQuietHours('2026-01-02T12:10:00.000Z', noon), '2026-01-02T13:30:00.000Z');
  t.equal(outsideQuietHours('2026-01-02T14:00:00.000Z', noon), '2026-01-02T14:00:00.000Z');
  t.equal(outsideQuietHours('2026-01-02T01:30:00.000Z', undefined), '2026-01-02T01:30:00.000Z');
  const never = { from: '08:00', to: '08:00', utcOffsetMinutes: 0 };
  t.equal(outsideQuietHours('2026-01-02T08:00:00.000Z', never), '2026-01-02T08:00:00.000Z');
});

await t.test('any time', async (t) => {
  const clock = (minute: number): string =>
    [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, '0')).join(':');
  const property = fc.property(
    fc.nat(1_439),
    fc.nat(1_439),
    fc.integer({ min: -720, max: 840 }),
    fc.nat(200_000_000),
    (from, to, utcOffsetMinutes, ms) => {
      const quiet = { from: clock(from), to: clock(to), utcOffsetMinutes };
      const at = Date.UTC(2026, 0, 1) + ms;
      const isQuiet = (time: number): boolean => {
        const minute = Math.floor((time + utcOffsetMinutes * 60_000) / 60_000) % 1_440;
        return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
      };
      const then = Date.parse(outsideQuietHours(new Date(at).toISOString(), quiet));
      if (!isQuiet(at)) return then === at;
      return then > at && !isQuiet(then) && isQuiet(then - 1) && then - at <= 1_440 * 60_000;
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2_000 }));
});
