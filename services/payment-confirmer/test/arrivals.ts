/** Waits for what comes some time after an answer: events, outcomes of webhooks, counters. */
import { newId } from '@rastro/runtime';
import { eventually } from '@rastro/testing';
import { metricsOf } from './two-accounts.ts';
import { bought, deliver, type Delivery, typesOf, type World } from './world.ts';

/** For what includes a restart, or a gateway's second try, on a busy machine. */
export const patient = { timeoutMs: 25_000 };

/**
 * Types of all that was committed about a payment by now, once it has come through: for what must
 * not be among them.
 */
export async function finalTypesOf(world: World, paymentId: string): Promise<string[]> {
  await eventually(async () => {
    const [row] = await world.sql<{ waiting: number }[]>`
      select count(*)::int as waiting from outbox`;
    if (row?.waiting !== 0) throw new Error(`${row?.waiting} events are still to be published`);
  }, patient);
  const { state } = await world.nats.jsm.streams.info('COMMERCE');
  await eventually(() => {
    const { length } = world.seen;
    if (length < state.last_seq) throw new Error(`${length} of ${state.last_seq} events came`);
  }, patient);
  return typesOf(world, paymentId);
}

/** What became of one webhook, whatever else comes in meanwhile. */
export function outcomeOf(world: World, webhookId: string): Promise<string> {
  return settled(
    () => world.sql<Row[]>`select outcome from webhooks where webhook_id = ${webhookId}`,
  );
}

/** The same, of the first about a charge. */
export function firstOutcomeAbout(world: World, chargeId: string): Promise<string> {
  return settled(
    () => world.sql<Row[]>`
      select outcome from webhooks where charge_id = ${chargeId} order by id limit 1`,
  );
}

interface Row {
  readonly outcome: string | null;
}

function settled(find: () => PromiseLike<readonly Row[]>): Promise<string> {
  return eventually(async () => {
    const [row] = await find();
    if (!row?.outcome) throw new Error(row ? 'still to do' : 'still to come');
    return row.outcome;
  }, patient);
}

/** Posts a signed webhook by hand; resolves with what became of it. */
export async function heeded(world: World, body: string, how: Delivery = {}): Promise<string> {
  const id = newId();
  const status = await deliver(world, body, { ...how, id });
  if (status !== 200) throw new Error(`it was answered ${status}`);
  return outcomeOf(world, id);
}

/** Metrics are counted after the commit, so an event may be seen before. */
export function counted(url: string, wanted: RegExp): Promise<string> {
  return eventually(async () => {
    const text = await metricsOf(url);
    if (!wanted.test(text)) throw new Error(`not counted: ${wanted}`);
    return text;
  }, patient);
}

/** As a caller does who is told to try again: a busy machine may miss a hurried gateway's time. */
export function boughtAtLast(world: World, changes: Parameters<typeof bought>[1] = {}) {
  const request = { checkoutId: newId(), ...changes };
  return eventually(() => bought(world, request), patient);
}
