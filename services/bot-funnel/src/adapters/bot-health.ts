/** Asks Telegram whether a bot's token still works, and tells the others when that changes. */
import { setTimeout as delay } from 'node:timers/promises';
import { envelop } from '@rastro/events';
import { append, type Sql, type Transaction, withConflictRetry } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { Api } from 'grammy';
import type { FleetBot } from './bot-fleet.ts';
import { attempt } from './telegram.ts';

const checkMs = 60_000;

export interface BotHealth {
  /** Checks at once and every minute, until the signal. */
  watch(bot: FleetBot, api: Api, signal: AbortSignal): Promise<void>;
  /** Somebody has seen the token refused: look now. */
  suspect(botId: string): void;
  /** Our own verdict, where Telegram need not be asked. */
  report(bot: FleetBot, health: Verdict): Promise<void>;
}

interface Verdict {
  readonly health: 'healthy' | 'unhealthy';
  readonly reason: string | null;
}

export function createBotHealth(options: {
  sql: Sql;
  onError: (error: unknown) => void;
}): BotHealth {
  const { sql, onError } = options;
  const suspicions = new Map<string, () => void>();

  async function check(bot: FleetBot, api: Api): Promise<void> {
    const result = await attempt(() => api.getMe());
    if (result.ok) await recordHealth(sql, bot, { health: 'healthy', reason: null });
    // An unreachable Telegram says nothing about the bot.
    else if (result.failure.type === 'unauthorized') {
      const { code, reason } = result.failure;
      await recordHealth(sql, bot, { health: 'unhealthy', reason: `${code}: ${reason}` });
    }
  }
  return {
    suspect: (botId) => suspicions.get(botId)?.(),
    report: (bot, verdict) => recordHealth(sql, bot, verdict),
    async watch(bot, api, signal) {
      while (!signal.aborted) {
        const suspected = new AbortController();
        suspicions.set(bot.botId, () => suspected.abort());
        await check(bot, api).catch(onError);
        const isOver = AbortSignal.any([signal, suspected.signal]);
        await delay(checkMs, undefined, { signal: isOver }).catch(() => {});
      }
      suspicions.delete(bot.botId);
    },
  };
}

/** Publishes a change, the first verdict included; a verdict that says nothing new is no event. */
async function recordHealth(sql: Sql, bot: FleetBot, verdict: Verdict): Promise<void> {
  await withConflictRetry(() => sql.begin((tx) => recordInTransaction(tx, bot, verdict)));
}

async function recordInTransaction(
  tx: Transaction,
  { botId, workspaceId }: FleetBot,
  { health, reason }: Verdict,
): Promise<void> {
  const changedAt = new Date().toISOString();
  const changed = await tx`
    insert into bot_health as known (bot_id, health, reason, changed_at)
    values (${botId}, ${health}, ${reason}, ${changedAt})
    on conflict (bot_id) do update set health = excluded.health, reason = excluded.reason,
      changed_at = excluded.changed_at
    where known.health <> excluded.health returning 1`;
  if (changed.length === 0) return;
  const streamId = `bot-${botId}`;
  const [row] = await tx<{ version: number }[]>`
    select coalesce(max(version), 0) as version from events where stream_id = ${streamId}`;
  const data = { botId, health, reason, changedAt };
  const event = envelop(
    { type: 'BotHealthChanged', data },
    { id: newId(), time: changedAt, source: 'bot-funnel', workspaceId, aggregateId: botId },
  );
  await append(tx, { streamId, expectedVersion: row?.version ?? 0, events: [event] });
}
