/** One seeded storm from beginning to judgement. */
import { setTimeout as delay } from 'node:timers/promises';
import { eventSubject, type RastroEvent } from '@rastro/events';
import type { Nats } from '@rastro/messaging';
import { eventually } from '@rastro/testing';
import { type ConversionStage, startConversionStage } from './conversion-stage.ts';
import { type ConversionStorm, planConversionStorm, type StormSize } from './conversion-storm.ts';
import { copiesByEvent, type Evidence, problemsOf, readLedger } from './conversion-witness.ts';

export interface StormReport {
  /** One line for each broken promise. */
  readonly problems: readonly string[];
  readonly figures: Readonly<Record<string, number>>;
}

/** Meta answers well again once this share of the events has come to its end, or after so long. */
const foulUntil = 0.9;
const foulAtMostMs = 8_000;
const endWithinMs = 120_000;

export async function weatherStorm(seed: number, size: StormSize): Promise<StormReport> {
  await using stage = await startConversionStage();
  const startedMs = performance.now();
  const { pools, graph } = stage;
  const storm = planConversionStorm(seed, size, { pools, startsAtMs: Date.now() });
  await graph.setFaults(seed, storm.rules);
  const killed = await play(stage, storm, size.durationMs);
  const { size: events } = storm.expected;
  await ended(stage, events * foulUntil, foulAtMostMs).catch(() => {});
  // Calm from here on; but what is wrong with an event stays wrong with it.
  const lasting = storm.rules.filter(({ match }) => match?.eventIdSuffix !== undefined);
  await graph.setFaults(seed, lasting);
  const stormMs = performance.now() - startedMs;
  await ended(stage, events);
  await relayed(stage);
  const settleMs = performance.now() - startedMs - stormMs;
  const evidence = await gather(stage, storm, killed);
  return { problems: problemsOf(evidence), figures: figuresOf(evidence, { stormMs, settleMs }) };
}

type Killed = Evidence['killed'];

async function play(
  stage: ConversionStage,
  storm: ConversionStorm,
  durationMs: number,
): Promise<Killed> {
  const startedMs = performance.now();
  const until = (at: number): Promise<void> =>
    delay(Math.max(0, startedMs + at * durationMs - performance.now()));
  const killed: Killed[number][] = [];
  const victims = Map.groupBy(storm.kills, ({ victim }) => victim);
  const killing = [...victims.values()].map(async (kills) => {
    for (const { at, victim, awayMs } of kills) {
      await until(at);
      const atMs = Date.now();
      await stage.kill(victim, awayMs);
      killed.push({ victim, atMs, backAtMs: Date.now() });
    }
  });
  const refusing = storm.refusals.map(async ({ at, forMs, pixelId, isNew }) => {
    await until(at);
    await refuse(stage, { pixelId, forMs, isNew });
  });
  await Promise.all([publishAll(stage, storm.posts, until), ...killing, ...refusing]);
  await until(1);
  return killed;
}

async function refuse(
  stage: ConversionStage,
  refusal: { readonly pixelId: string; readonly forMs: number; readonly isNew: boolean },
): Promise<void> {
  const { graph } = stage;
  const { pixelId, forMs, isNew } = refusal;
  const id = `token-${pixelId}`;
  const action = { status: 400, code: 190, subcode: 463 };
  if (isNew) await stage.withdrawToken(pixelId);
  else await graph.addFault({ id, api: 'graph', match: { pixelId }, action });
  await delay(forMs);
  await (isNew ? stage.renewToken(pixelId) : graph.removeFault(id));
}

const together = 100;

async function publishAll(
  stage: ConversionStage,
  posts: ConversionStorm['posts'],
  until: (at: number) => Promise<void>,
): Promise<void> {
  for (let index = 0; index < posts.length; index += together) {
    const part = posts.slice(index, index + together);
    await until(part.at(-1)?.at ?? 0);
    await stage.publish(part.map(({ event }) => event));
  }
}

/** So many events have come to their end. */
async function ended(
  { sql }: ConversionStage,
  events: number,
  timeoutMs = endWithinMs,
): Promise<void> {
  const ends = ['accepted', 'rejected', 'dead', 'expired', 'skipped'];
  await eventually(
    async () => {
      const states = await sql<{ state: string; count: number }[]>`
        select state, count(*)::int as count from conversions group by 1 order by 1`;
      const count = states
        .filter(({ state }) => ends.includes(state))
        .reduce((sum, each) => sum + each.count, 0);
      if (count < events) {
        const counts = states.map((each) => `${each.count} ${each.state}`).join(', ');
        throw new Error(`${count} of ${events} have ended: ${counts}`);
      }
    },
    { timeoutMs, intervalMs: 100 },
  );
}

/** JetStream has all that the ledger says in public. */
async function relayed({ sql }: ConversionStage): Promise<void> {
  await eventually(
    async () => {
      const [outbox] = await sql<{ count: number }[]>`select count(*)::int as count from outbox`;
      if (outbox?.count !== 0) throw new Error(`${outbox?.count} events wait in the outbox`);
    },
    { timeoutMs: 30_000, intervalMs: 100 },
  );
}

async function gather(
  { graph, nats, sql }: ConversionStage,
  { expected }: ConversionStorm,
  killed: Killed,
): Promise<Evidence> {
  // A slow call that nobody waited for is still to be taken in.
  await delay(1_000);
  const [requests, groups, ledger] = [
    await graph.requests(),
    await graph.groups(),
    await readLedger(sql),
  ];
  const told = {
    accepted: await countOf(nats, 'ConversionAccepted'),
    rejected: await countOf(nats, 'ConversionRejected'),
  };
  return { ...ledger, expected, told, requests, groups, killed };
}

async function countOf(nats: Nats, type: RastroEvent['type']): Promise<number> {
  const subject = eventSubject({ type, workspaceid: 'demo' });
  const { state } = await nats.jsm.streams.info('COMMERCE', { subjects_filter: subject });
  return state.subjects?.[subject] ?? 0;
}

function figuresOf(
  { requests, groups, announced, killed }: Evidence,
  { stormMs, settleMs }: { stormMs: number; settleMs: number },
): StormReport['figures'] {
  const copies = [...copiesByEvent(groups).values()];
  const again = copies.filter((each) => each.length > 1);
  const unconfirmed = [...announced.values()].filter((said) => 'ConversionUnconfirmed' in said);
  return {
    'storm s': stormMs / 1_000,
    'settled after s': settleMs / 1_000,
    kills: killed.length,
    calls: requests.length,
    'calls failed': requests.filter(({ accepted, dropped }) => !accepted || dropped).length,
    'events at Meta': copies.length,
    'events with an unknown outcome': unconfirmed.length,
    'PageViews at Meta again': again.filter(([one]) => one?.eventName === 'PageView').length,
    'Purchases at Meta again': again.filter(([one]) => one?.eventName === 'Purchase').length,
  };
}
