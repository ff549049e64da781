/** What is known of each bot's health; whoever looks at a bot adds to it, the row decides. */
import { type DataOf, envelop } from '@rastro/events';
import { append, type Sql, type Transaction, withConflictRetry } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import {
  type BreakerState,
  type BreakerTimes,
  evolveBreaker,
  initialBreaker,
  type Signal,
  type Verdict,
  verdictOf,
} from '../core/bot-breaker.ts';

export interface WatchedBot {
  readonly botId: string;
  readonly workspaceId: string;
}

export interface KnownHealth {
  readonly state: BreakerState;
  readonly webhookFingerprint: string | null;
}

interface Row {
  readonly health: 'healthy' | 'unhealthy' | null;
  readonly reason: string | null;
  readonly sharePercent: number | null;
  readonly breaker: BreakerState | null;
}

export async function findHealth(sql: Sql, botId: string): Promise<KnownHealth> {
  const [row] = await sql<(Row & { webhookFingerprint: string | null })[]>`
    select health, reason, share_percent, breaker, webhook_fingerprint
    from bot_health where bot_id = ${botId}`;
  if (row === undefined) return { state: initialBreaker, webhookFingerprint: null };
  return { state: stateOf(row), webhookFingerprint: row.webhookFingerprint };
}

/** A row from before there was a breaker has only its verdict. */
function stateOf({ health, reason, breaker }: Row): BreakerState {
  if (breaker !== null) return breaker;
  if (health === null) return initialBreaker;
  if (health === 'healthy') return { ...initialBreaker, status: 'closed' };
  return { ...initialBreaker, status: 'open', problems: { token: reason ?? 'not known' } };
}

/** Remembers which webhook was registered for the bot; null once there is none of ours. */
export async function saveFingerprint(
  sql: Sql,
  botId: string,
  fingerprint: string | null,
): Promise<void> {
  await sql`
    insert into bot_health (bot_id, webhook_fingerprint) values (${botId}, ${fingerprint})
    on conflict (bot_id) do update set webhook_fingerprint = excluded.webhook_fingerprint`;
}

export interface Recorded {
  readonly state: BreakerState;
  /** What was told to the others just now; null when it is nothing new to them. */
  readonly told: Verdict | null;
}

/** Adds what was seen, and tells the others when the verdict has changed, the first one included. */
export async function recordSignals(
  sql: Sql,
  bot: WatchedBot,
  signals: readonly Signal[],
  times: BreakerTimes,
): Promise<Recorded> {
  return withConflictRetry(() => sql.begin((tx) => recordInTransaction(tx, bot, signals, times)));
}

async function recordInTransaction(
  tx: Transaction,
  bot: WatchedBot,
  signals: readonly Signal[],
  times: BreakerTimes,
): Promise<Recorded> {
  const { botId } = bot;
  await tx`insert into bot_health (bot_id) values (${botId}) on conflict do nothing`;
  const [row] = await tx<[Row]>`
    select health, reason, share_percent, breaker from bot_health
    where bot_id = ${botId} for update`;
  const nowMs = Date.now();
  const before = stateOf(row);
  const state = signals.reduce((s, signal) => evolveBreaker(s, signal, nowMs, times), before);
  const verdict = verdictOf(state, times);
  const isNews =
    verdict !== null &&
    (verdict.health !== row.health || verdict.sharePercent !== row.sharePercent);
  const isSame = row.breaker !== null && JSON.stringify(state) === JSON.stringify(before);
  if (isSame && !isNews) return { state, told: null };
  const { health = null, reason = null, sharePercent = null } = verdict ?? {};
  await tx`
    update bot_health set breaker = ${tx.json(state as never)}, health = ${health},
      reason = ${reason}, share_percent = ${sharePercent} where bot_id = ${botId}`;
  if (!isNews) return { state, told: null };
  await tell(tx, bot, verdict, new Date(nowMs).toISOString());
  return { state, told: verdict };
}

async function tell(
  tx: Transaction,
  { botId, workspaceId }: WatchedBot,
  verdict: Verdict,
  changedAt: string,
): Promise<void> {
  await tx`update bot_health set changed_at = ${changedAt} where bot_id = ${botId}`;
  const streamId = `bot-${botId}`;
  const [row] = await tx<{ version: number }[]>`
    select coalesce(max(version), 0) as version from events where stream_id = ${streamId}`;
  const { health, reason, sharePercent } = verdict;
  const share = sharePercent === null ? {} : { sharePercent };
  const data: DataOf<'BotHealthChanged'> = { botId, health, reason, ...share, changedAt };
  const event = envelop(
    { type: 'BotHealthChanged', data },
    { id: newId(), time: changedAt, source: 'bot-funnel', workspaceId, aggregateId: botId },
  );
  await append(tx, { streamId, expectedVersion: row?.version ?? 0, events: [event] });
}
