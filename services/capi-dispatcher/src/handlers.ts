/** The event edge: what happened becomes knowledge, knowledge becomes rows of the send ledger. */
import { firstDeliveries, withConflictRetry } from '@rastro/event-store';
import type { RastroEvent } from '@rastro/events';
import type { Logger, Sql, Transaction } from '@rastro/runtime';
import { saveJourneys, saveOrders } from './adapters/intake-store.ts';
import type { Consumed } from './core/consumed.ts';
import { learn, loadKnowledge } from './knowledge.ts';
import { schedule, type SchedulingOptions } from './scheduling.ts';

const service = 'capi-dispatcher';

export interface IntakeOptions extends SchedulingOptions {
  readonly sql: Sql;
  readonly log: Logger;
  /** After a commit that may have made something due. */
  readonly onScheduled: () => void;
}

/** Takes in events of any number, order and repetition; each call is one transaction. */
export function createIntake(options: IntakeOptions) {
  const { sql, log, onScheduled } = options;

  async function record(consumer: string, events: readonly RastroEvent[]): Promise<void> {
    const ids = events.map(({ id }) => id);
    const attempt = () =>
      sql.begin(async (tx) => {
        const fresh = await firstDeliveries(tx, `${service}__${consumer}`, ids);
        const news = events.filter(({ id }) => fresh.has(id)) as Consumed[];
        return news.length > 0 && takeIn(tx, news, options);
      });
    if (await withConflictRetry(attempt)) onScheduled();
  }

  /** One event that cannot be taken in must not keep the others of its batch waiting. */
  async function recordBatch(consumer: string, events: readonly RastroEvent[]): Promise<void> {
    try {
      await record(consumer, events);
    } catch (error) {
      if (events.length === 1) throw error;
      log.warn({ err: error, events: events.length }, 'a batch failed; trying its events alone');
      const failures: unknown[] = [];
      for (const event of events) {
        await record(consumer, [event]).catch((failure: unknown) => failures.push(failure));
      }
      if (failures.length > 0) throw failures[0];
    }
  }
  return { record, recordBatch };
}

async function takeIn(
  tx: Transaction,
  events: readonly Consumed[],
  options: IntakeOptions,
): Promise<boolean> {
  const { knowledge, own } = await loadKnowledge(tx, events);
  const journeysBefore = new Map(knowledge.journeys);
  const ordersBefore = new Set(knowledge.orders.values());
  const nowMs = Date.now();
  for (const event of own) learn(knowledge, event, nowMs);
  const news = [...knowledge.journeys].filter(
    ([token, known]) => known.isNew || known !== journeysBefore.get(token),
  );
  await saveJourneys(tx, new Map(news));
  await saveOrders(
    tx,
    [...knowledge.orders.values()].filter((order) => !ordersBefore.has(order)),
  );
  return schedule(tx, knowledge, options, nowMs);
}
