/**
 * Goal: what is stored is written to the cache once, whole where every event of it was seen, and
 * never an older version over a newer one.
 * Method: the write-through alone, told of batches, over a cache that only remembers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RastroEvent } from '@rastro/events';
import t from 'tap';
import type { AnswerCache, CacheWrite } from '../../src/adapters/answer-cache.ts';
import { createWriteThrough } from '../../src/adapters/write-through.ts';
import type { Stored } from '../../src/adapters/tracking-store.ts';
import { newsOf } from '../../src/core/session-fold.ts';
import { journey, tokenOf } from '../journeys.ts';

function rememberingCache() {
  const writes: CacheWrite[] = [];
  const dropped: string[] = [];
  const cache: AnswerCache = {
    read: async () => undefined,
    tokenOf: async () => undefined,
    write: (more) => void writes.push(...more),
    drop: (tokens) => void dropped.push(...tokens),
  };
  return { cache, writes, dropped };
}

/** As if `events` were stored now, of sessions that had `before` already. */
function batchOf(
  events: readonly RastroEvent[],
  before: readonly RastroEvent[] = [],
  rivals: readonly string[] = [],
): Stored {
  const sessions = [...newsOf([...before, ...events]).values()].map((news) => ({
    state: news.state,
    version: news.events,
  }));
  return { events, rowId: String(before.length), sessions, rivalTokens: new Set(rivals) };
}

const lengths = (writes: readonly CacheWrite[]): unknown[] =>
  writes.map(({ entry }) => [entry.version, entry.journey?.length ?? null]);

await t.test('batches of one journey are written once, with all of its events in order', (t) => {
  const { cache, writes } = rememberingCache();
  const writeThrough = createWriteThrough(cache);
  const events = journey({ hasSale: true });
  const [first, second] = [events.slice(0, 3).toReversed(), events.slice(3)];
  writeThrough.stored(batchOf(first));
  writeThrough.stored(batchOf(second, first));
  // The commit of the first batch, heard of late and again.
  writeThrough.stored(batchOf(first));
  t.strictSame(writes, [], 'not at once');
  writeThrough[Symbol.dispose]();
  t.strictSame(lengths(writes), [[events.length, events.length]]);
  t.match(writes[0], { trackingToken: tokenOf(events), fbclid: `click-${tokenOf(events)}` });
  t.strictSame(
    writes[0]?.entry.journey?.map(({ id }) => id),
    events.map(({ id }) => id),
  );
  t.end();
});

await t.test('a journey that was not seen from its beginning is left to who reads', (t) => {
  const { cache, writes } = rememberingCache();
  const writeThrough = createWriteThrough(cache);
  const events = journey();
  writeThrough.stored(batchOf(events.slice(2), events.slice(0, 2)));
  const long = Array.from({ length: 60 }, () => journey({ token: tokenOf(events) })).flat();
  const other = journey();
  const repeated = other.concat(
    long.map(
      (event) =>
        ({ ...event, data: { ...event.data, trackingToken: tokenOf(other) } }) as RastroEvent,
    ),
  );
  writeThrough.stored(batchOf(repeated));
  writeThrough[Symbol.dispose]();
  t.strictSame(lengths(writes), [
    [4, null],
    [repeated.length, null],
  ]);
  t.equal(writes[0]?.fbclid, null, 'its click was written before');
  t.end();
});

await t.test('of a token of which two workspaces speak, no copy is kept', (t) => {
  const { cache, writes, dropped } = rememberingCache();
  const writeThrough = createWriteThrough(cache);
  const events = journey();
  writeThrough.stored(batchOf(events.slice(0, 1)));
  writeThrough.stored(batchOf(events.slice(1), events.slice(0, 1), [tokenOf(events)]));
  writeThrough[Symbol.dispose]();
  t.strictSame([writes, dropped], [[], [tokenOf(events)]]);
  t.end();
});

await t.test('it is written without being asked, soon', async (t) => {
  const { cache, writes } = rememberingCache();
  using writeThrough = createWriteThrough(cache);
  writeThrough.stored(batchOf(journey()));
  while (writes.length === 0) await delay(20);
  t.strictSame(lengths(writes), [[4, 4]]);
});
