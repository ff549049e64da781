/** Lanes to Telegram, one per bot and chat: who may send there now, and when the next may. */
import type { Queryable, Sql, Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import { leaseSeconds } from './work-loop.ts';

export interface ClaimedLane {
  readonly botId: string;
  readonly chatId: number;
  readonly leaseId: string;
  /** Its owner has the bot blocked, and has not come back yet. */
  readonly isBlocked: boolean;
}

/**
 * Telegram takes about 30 calls a second from a bot. 25 a second and 5 at once keep every second
 * below that, wherever it begins.
 */
const botPace = { perSecond: 25, burst: 5 } as const;
const msPerCall = 1_000 / botPace.perSecond;
const toleranceMs = (botPace.burst - 1) * msPerCall;

/**
 * Leases lanes that have something to say and may say it, and spends a call of their bot for each.
 * It looks at the first few lanes of each bot, however many are waiting.
 */
export async function claimLanes(sql: Queryable, limit: number): Promise<ClaimedLane[]> {
  const leaseId = newId();
  return sql<ClaimedLane[]>`
    with free as materialized (
      select bot_id, 1 + floor((${toleranceMs}::numeric
          - 1000 * extract(epoch from greatest(paced_until - now(), interval '0')))
          / ${msPerCall}::numeric)::integer as calls
      from bot_paces
      where paused_until <= now()
        and paced_until <= now() + ${toleranceMs} * interval '1 millisecond'
        and exists (select 1 from chat_lanes lane
          where lane.bot_id = bot_paces.bot_id and lane.is_waiting and lane.due_at <= now())
      for update skip locked),
    due as materialized (
      select lane.bot_id, lane.chat_id from free cross join lateral (
        select bot_id, chat_id, due_at from chat_lanes
        where chat_lanes.bot_id = free.bot_id and is_waiting and due_at <= now()
        order by due_at limit free.calls for update skip locked) as lane
      order by lane.due_at limit ${limit}),
    spent as (
      update bot_paces set paced_until = greatest(paced_until, now())
        + used.calls * ${msPerCall} * interval '1 millisecond'
      from (select bot_id, count(*) as calls from due group by bot_id) as used
      where bot_paces.bot_id = used.bot_id)
    update chat_lanes set lease_id = ${leaseId},
      due_at = now() + ${leaseSeconds} * interval '1 second'
    from due where chat_lanes.bot_id = due.bot_id and chat_lanes.chat_id = due.chat_id
    returning chat_lanes.bot_id, chat_lanes.chat_id, chat_lanes.lease_id, chat_lanes.is_blocked`;
}

const columnsOf = (lanes: readonly ClaimedLane[]) => ({
  botIds: lanes.map(({ botId }) => botId),
  chatIds: lanes.map(({ chatId }) => String(chatId)),
  leaseIds: lanes.map(({ leaseId }) => leaseId),
});

export async function renewLanes(sql: Queryable, lanes: readonly ClaimedLane[]): Promise<void> {
  const { botIds, chatIds, leaseIds } = columnsOf(lanes);
  await sql`
    update chat_lanes set due_at = now() + ${leaseSeconds} * interval '1 second'
    from unnest(${botIds}::text[], ${chatIds}::bigint[], ${leaseIds}::uuid[])
      as own (bot_id, chat_id, lease_id)
    where chat_lanes.bot_id = own.bot_id and chat_lanes.chat_id = own.chat_id
      and chat_lanes.lease_id = own.lease_id`;
}

/** Where a claimed lane stands: still ours and locked, taken over by another, or locked elsewhere. */
export type LaneHold = 'held' | 'lost' | 'busy';

/**
 * Locks lanes until the transaction ends.
 * @param patience whether to wait for a lane that somebody is queueing to: only for one at a time,
 *   since two transactions that wait for each other's lanes would never end
 */
export async function holdLanes(
  tx: Transaction,
  lanes: readonly ClaimedLane[],
  patience: 'wait' | 'skip',
): Promise<Map<ClaimedLane, LaneHold>> {
  const { botIds, chatIds } = columnsOf(lanes);
  const rows = await tx<{ botId: string; chatId: number; leaseId: string | null }[]>`
    select bot_id, chat_id, lease_id from chat_lanes
    where (bot_id, chat_id) in (select * from unnest(${botIds}::text[], ${chatIds}::bigint[]))
    for update ${patience === 'skip' ? tx`skip locked` : tx``}`;
  const leases = new Map(rows.map((row) => [`${row.botId}/${row.chatId}`, row.leaseId]));
  return new Map(
    lanes.map((lane) => {
      const leaseId = leases.get(`${lane.botId}/${lane.chatId}`);
      if (leaseId === undefined) return [lane, 'busy'];
      return [lane, leaseId === lane.leaseId ? 'held' : 'lost'];
    }),
  );
}

/** Gives held lanes back; has to run after what was said in them has been recorded. */
export async function freeLanes(
  tx: Transaction,
  lanes: readonly { lane: ClaimedLane; waitMs: number }[],
): Promise<void> {
  const { botIds, chatIds } = columnsOf(lanes.map(({ lane }) => lane));
  const waits = lanes.map(({ waitMs }) => waitMs);
  await tx`
    update chat_lanes set lease_id = null,
      due_at = now() + own.wait_ms * interval '1 millisecond',
      is_waiting = exists (select 1 from messages
        where messages.bot_id = own.bot_id and messages.chat_id = own.chat_id
          and messages.status = 'queued')
    from unnest(${botIds}::text[], ${chatIds}::bigint[], ${waits}::float8[])
      as own (bot_id, chat_id, wait_ms)
    where chat_lanes.bot_id = own.bot_id and chat_lanes.chat_id = own.chat_id`;
}

/** Until its owner comes back: see `releaseKeptMessages`. */
export async function blockLane(tx: Transaction, { botId, chatId }: ClaimedLane): Promise<void> {
  await tx`update chat_lanes set is_blocked = true where bot_id = ${botId} and chat_id = ${chatId}`;
}

/** Gives back lanes in which nothing was found to be said. */
export async function freeIdleLanes(sql: Sql, lanes: readonly ClaimedLane[]): Promise<void> {
  await sql.begin(async (tx) => {
    const holds = await holdLanes(tx, lanes, 'skip');
    const held = lanes.filter((lane) => holds.get(lane) === 'held');
    if (held.length > 0)
      await freeLanes(
        tx,
        held.map((lane) => ({ lane, waitMs: 0 })),
      );
  });
}

/** Nothing is sent by these bots for as long as said. */
export async function pauseBots(
  sql: Queryable,
  pauses: readonly { botId: string; pauseMs: number }[],
): Promise<void> {
  const botIds = pauses.map(({ botId }) => botId);
  const lengths = pauses.map(({ pauseMs }) => pauseMs);
  await sql`
    update bot_paces set paused_until =
      greatest(paused_until, now() + own.pause_ms * interval '1 millisecond')
    from (select bot_id, max(pause_ms) as pause_ms
      from unnest(${botIds}::text[], ${lengths}::float8[]) as one (bot_id, pause_ms)
      group by bot_id) as own
    where bot_paces.bot_id = own.bot_id`;
}

/** The bot's token has changed: what waited for that goes on. */
export async function resumeBots(sql: Queryable, botIds: readonly string[]): Promise<void> {
  await sql`
    update bot_paces set paused_until = '-infinity' where bot_id = any(${botIds as string[]})`;
}
