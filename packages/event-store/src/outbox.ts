/** Publishes what was committed, in order per journey, until JetStream has confirmed it. */
import { type RastroEvent } from '@rastro/events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Queryable, Sql, Transaction } from './types.ts';

/** Resolves once all are stored; publishing one twice must be harmless, also after a rejection. */
export type Publish = (events: readonly RastroEvent[]) => Promise<void>;

export interface RelayOptions {
  readonly sql: Sql;
  /** The schema whose outbox is relayed; the pool's search path finds its tables. */
  readonly schema: string;
  readonly publish: Publish;
  readonly onError: (error: unknown) => void;
}

const batchSize = 200;
const pollMs = 1_000;
/** Between the beginnings of two rounds: what is committed meanwhile goes together. */
const gatherMs = 25;

/** Runs until disposed of. LISTEN/NOTIFY wakes it; polling covers a lost notification. */
export async function startOutboxRelay(options: RelayOptions): Promise<AsyncDisposable> {
  const { sql, schema, onError } = options;
  const stopping = new AbortController();
  let wake = Promise.withResolvers<void>();
  const listening = sql.listen('rastro_outbox', (payload) => {
    if (payload === schema) wake.resolve();
  });
  await listening.then(() => {}, onError);

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = Promise.withResolvers<void>();
      const startedMs = performance.now();
      const published = await relayBatch(options).catch((error: unknown) => {
        onError(error);
        return 0;
      });
      if (published === batchSize) continue;
      const poll = delay(pollMs, undefined, { signal: stopping.signal }).catch(() => {});
      await Promise.race([wake.promise, poll]);
      const restMs = startedMs + gatherMs - performance.now();
      if (restMs > 0) await delay(restMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }
  const running = loop();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
      await listening.then((subscription) => subscription.unlisten()).catch(onError);
    },
  };
}

/**
 * One relay at a time holds the lock: two would overtake each other within a journey.
 * What could not be published stays, with everything that follows it in the same journey.
 */
async function relayBatch({ sql, schema, publish, onError }: RelayOptions): Promise<number> {
  return sql.begin(async (tx) => {
    if (!(await holdsLock(tx, schema))) return 0;
    const waiting = await tx<{ position: number; event: RastroEvent | null }[]>`
      select position, (select event from events where global_position = event_position) as event
      from outbox order by position limit ${batchSize}`;
    if (waiting.length === 0) return 0;
    const rows = waiting.flatMap(({ position, event }) => (event ? { position, event } : []));
    // Somebody asked to be forgotten before it was said: then it is not said.
    const erased = waiting.flatMap(({ position, event }) => (event ? [] : position));
    const published = await publish(rows.map(({ event }) => event)).then(
      () => rows.map(({ position }) => position),
      () => publishByJourney(rows, { publish, onError }),
    );
    const done = [...erased, ...published];
    if (done.length > 0) await tx`delete from outbox where position = any(${done})`;
    return done.length;
  });
}

interface OutboxRow {
  readonly position: number;
  readonly event: RastroEvent;
}

/** After a batch that did not get through as a whole: one bad event holds up its own journey only. */
async function publishByJourney(
  rows: readonly OutboxRow[],
  { publish, onError }: Pick<RelayOptions, 'publish' | 'onError'>,
): Promise<number[]> {
  const published: number[] = [];
  const journeys = Map.groupBy(rows, ({ event }) => event.correlationid);
  await Promise.all(
    [...journeys.values()]
      .map(async (journey) => {
        for (const { position, event } of journey) {
          await publish([event]);
          published.push(position);
        }
      })
      .map((journey) => journey.catch(onError)),
  );
  return published;
}

async function holdsLock(tx: Transaction, schema: string): Promise<boolean> {
  const [row] = await tx<{ locked: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtextextended(${`rastro_outbox/${schema}`}, 0)) as locked`;
  return row?.locked ?? false;
}

/** Publishes everything ever recorded again, in order: for when JetStream's store was lost. */
export async function republish(
  sql: Queryable,
  publish: Publish,
  onProgress: (published: number) => void = () => {},
): Promise<number> {
  let position = 0;
  let total = 0;
  for (;;) {
    const rows = await sql<{ globalPosition: number; event: RastroEvent }[]>`
      select global_position, event from events
      where global_position > ${position} order by global_position limit ${batchSize}`;
    if (rows.length === 0) return total;
    await publish(rows.map(({ event }) => event));
    position = rows.at(-1)?.globalPosition ?? position;
    total += rows.length;
    onProgress(total);
  }
}
