/** Watches the bots: asks Telegram, adds what was seen, and tells the others when that changes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Sql } from '@rastro/event-store';
import type { Gauge, Logger } from '@rastro/runtime';
import type { Api } from 'grammy';
import {
  type BreakerState,
  type BreakerTimes,
  breakerTimes,
  type Check,
  nextCheckMs,
  type Signal,
  type Verdict,
  verdictOf,
} from '../core/bot-breaker.ts';
import type { FleetBot } from './bot-fleet.ts';
import { BotObservations, type SendOutcome } from './bot-observations.ts';
import { recordSignals } from './health-table.ts';
import { resumeBots } from './lane-table.ts';
import type { CallResult } from '../core/sending.ts';
import { attempt } from './telegram.ts';
import { createTurns } from './turns.ts';
import { reconcileWebhook, type Webhook } from './webhook.ts';

export interface BotSource {
  readonly api: Api;
  /** Null where we ask for updates instead of being told. */
  readonly webhook: Webhook | null;
}

export interface BotHealth {
  /** Looks at once and again and again, until the signal. */
  watch(bot: FleetBot, source: BotSource, signal: AbortSignal): Promise<void>;
  /** Somebody has seen the token refused: look now. */
  suspect(botId: string): void;
  /** How a send ended; many that fail are a reason to look. */
  noteSend(botId: string, outcome: SendOutcome): void;
  /** What we found out by ourselves, where Telegram need not be asked. */
  report(bot: FleetBot, signal: Signal): Promise<void>;
}

export interface BotHealthOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly gauge: Gauge<'bot'>;
  readonly times?: BreakerTimes;
}

/** Bots that are looked at together: hundreds that begin at once shall not look like a flood. */
const looksAtOnce = 8;
const leastPauseMs = 1_000;

export function createBotHealth(options: BotHealthOptions): BotHealth {
  const { sql, log, gauge, times = breakerTimes } = options;
  const observations = new BotObservations();
  const turns = createTurns(looksAtOnce);
  /** Of bots that are out of rotation there is none: more bad news of them is no news. */
  const wakes = new Map<string, () => void>();

  async function record(bot: FleetBot, signals: readonly Signal[]): Promise<BreakerState> {
    const { state, told } = await recordSignals(sql, bot, signals, times);
    const verdict = verdictOf(state, times);
    if (verdict?.health === 'unhealthy') wakes.delete(bot.botId);
    if (verdict !== null) gauge.set({ bot: bot.botId }, shareOf(verdict));
    if (told !== null) tell(log, bot.botId, told);
    // What waits because Telegram had refused the bot does not wait any longer.
    if (told?.health === 'healthy') await resumeBots(sql, [bot.botId]);
    return state;
  }
  /** @returns milliseconds until the next look */
  async function look(bot: FleetBot, { api, webhook }: BotSource): Promise<number> {
    const { botId, username: wanted } = bot;
    const probe = await attempt(() => api.getMe());
    const nowMs = Date.now();
    if (probe.ok) observations.noteServed(botId, nowMs);
    const signals = signalsOf(probe, wanted, {
      othersServedAtMs: observations.othersServedAtMs(botId),
      isSuspect: observations.isSuspect(botId, nowMs),
    });
    const isToCheck = probe.ok && webhook !== null;
    const hook = isToCheck ? await reconcileWebhook({ sql, log, botId, api, webhook }) : null;
    if (hook?.signal) signals.push(hook.signal);
    const state = await record(bot, signals);
    if (!probe.ok && probe.failure.type === 'rate_limited') return probe.failure.retryAfterMs;
    return hook?.waitMs ?? nextCheckMs(state, nowMs, Math.random(), times);
  }
  async function lookInTurn(bot: FleetBot, source: BotSource, isUrgent: boolean): Promise<number> {
    using _turn = isUrgent ? null : await turns.take();
    return look(bot, source).catch((error: unknown) => {
      log.error({ err: error, botId: bot.botId }, 'a bot could not be looked at');
      return times.retryMs;
    });
  }
  return {
    report: async (bot, signal) => void (await record(bot, [signal])),
    suspect: (botId) => wakes.get(botId)?.(),
    noteSend(botId, outcome) {
      if (observations.noteSend(botId, outcome, Date.now())) wakes.get(botId)?.();
    },
    async watch(bot, source, signal) {
      let isUrgent = false;
      while (!signal.aborted) {
        const suspected = new AbortController();
        wakes.set(bot.botId, () => suspected.abort());
        const waitMs = await lookInTurn(bot, source, isUrgent);
        await pause(leastPauseMs, signal);
        await pause(waitMs - leastPauseMs, AbortSignal.any([signal, suspected.signal]));
        isUrgent = suspected.signal.aborted;
      }
      wakes.delete(bot.botId);
      observations.forget(bot.botId);
      gauge.remove({ bot: bot.botId });
    },
  };
}

function signalsOf(
  probe: CallResult<{ username?: string }>,
  wanted: string,
  others: { othersServedAtMs: number | null; isSuspect: boolean },
): Signal[] {
  const setback: Signal[] = others.isSuspect ? [{ type: 'SendsFailed' }] : [];
  if (probe.ok) {
    const { username = '' } = probe.value;
    return [{ type: 'ProbeAnswered', username, wanted }, ...setback];
  }
  const { failure } = probe;
  if (failure.type === 'rate_limited') return setback;
  const reason = `${failure.code}: ${failure.reason}`;
  if (failure.type === 'unauthorized' || failure.type === 'blocked') {
    return [{ type: 'ProbeRefused', reason: `Telegram refuses its token (${reason})` }];
  }
  return [{ type: 'ProbeFailed', reason: `Telegram does not answer it (${reason})`, ...others }];
}

const shareOf = ({ health, sharePercent }: Verdict): number =>
  health === 'unhealthy' ? 0 : (sharePercent ?? 100) / 100;

/** What an alarm may listen for. */
const alarms: { readonly [C in Check]: string } = {
  secret: 'BOT_TOKEN_UNREADABLE',
  token: 'BOT_TOKEN_REFUSED',
  name: 'BOT_USERNAME_DIFFERS',
  calls: 'BOT_NOT_ANSWERED',
  webhook: 'BOT_UPDATES_LOST',
};

function tell(log: Logger, botId: string, { check, health, reason, sharePercent }: Verdict): void {
  if (check === null) log.info({ botId, health, sharePercent }, 'a bot may be handed customers');
  else log.error({ code: alarms[check], botId, reason }, 'a bot is out of rotation');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {});
}
