/** Ingester: makes a bot's updates reach stream UPDATES, by webhook or by asking for them. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Decoded } from '@rastro/events';
import { type Nats, publishJson } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import type { Api } from 'grammy';
import { type Incoming, readUpdate, type TelegramUpdate } from '../core/incoming.ts';
import { sendRetryMs } from '../core/retry.ts';
import type { FleetBot } from './bot-fleet.ts';
import { allowedUpdates, attempt } from './telegram.ts';

/** Resolves once JetStream has it; the same update twice is stored once. */
export async function storeUpdate(nats: Nats, incoming: Incoming): Promise<void> {
  const { botId, workspaceId, updateId } = incoming;
  const subject = `telegram.${workspaceId}.${botId}`;
  await publishJson(nats, { subject, id: `${botId}:${updateId}`, body: incoming });
}

export interface SourceOptions {
  readonly bot: FleetBot;
  readonly api: Api;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Tells Telegram where to push; tries until it has agreed. Pending updates are kept. */
export async function registerWebhook(
  options: SourceOptions & { url: string; secretToken: string },
): Promise<void> {
  const { bot, api, log, signal, url, secretToken } = options;
  for (let attempts = 1; !signal.aborted; attempts += 1) {
    const result = await attempt(() =>
      api.setWebhook(url, {
        secret_token: secretToken,
        allowed_updates: [...allowedUpdates],
        max_connections: 100,
      }),
    );
    if (result.ok) {
      log.info({ botId: bot.botId }, 'webhook registered');
      return;
    }
    const { failure } = result;
    log.warn({ botId: bot.botId, failure }, 'the webhook was not registered; trying again');
    await pause(
      failure.type === 'rate_limited' ? failure.retryAfterMs : sendRetryMs(attempts),
      signal,
    );
  }
}

const pollSeconds = 8;

/**
 * Long polling until the signal. The offset moves on, which makes Telegram forget, only after
 * all updates before it are stored.
 */
export async function pollUpdates(
  options: SourceOptions & {
    decode: (update: unknown) => Decoded<TelegramUpdate>;
    store: (incoming: Incoming) => Promise<void>;
  },
): Promise<void> {
  const { bot, log, signal, decode, store } = options;
  let offset = 0;
  let failures = 0;
  let hasLeftWebhook = false;
  while (!signal.aborted) {
    try {
      hasLeftWebhook ||= await leaveWebhook(options);
      const updates = hasLeftWebhook ? await fetchUpdates(options, offset) : null;
      for (const update of updates ?? []) {
        const decoded = decode(update);
        const where = { ...bot, receivedAt: new Date().toISOString() };
        const incoming = decoded.ok ? readUpdate(decoded.value, where) : null;
        if (!decoded.ok) log.warn({ ...bot, problem: decoded.problem }, 'an update was left out');
        if (incoming !== null) await store(incoming);
        offset = Math.max(offset, update.update_id + 1);
      }
      failures = updates === null ? failures + 1 : 0;
    } catch (error) {
      failures += 1;
      log.warn({ err: error, ...bot }, 'an update could not be stored; asking for it again');
    }
    if (failures > 0) await pause(sendRetryMs(failures), signal);
  }
}

/** While a webhook is set Telegram refuses getUpdates. */
async function leaveWebhook({ api, bot, log }: SourceOptions): Promise<boolean> {
  const result = await attempt(() => api.deleteWebhook({ drop_pending_updates: false }));
  if (!result.ok) log.warn({ ...bot, failure: result.failure }, 'polling cannot begin yet');
  return result.ok;
}

async function fetchUpdates({ api, bot, log, signal }: SourceOptions, offset: number) {
  const options = { offset, timeout: pollSeconds, allowed_updates: [...allowedUpdates] };
  // grammY's types know only the polyfill of AbortSignal that it brings along.
  const untilStopped = signal as unknown as Parameters<Api['getUpdates']>[1];
  const result = await attempt(() => api.getUpdates(options, untilStopped));
  if (result.ok) return result.value;
  if (!signal.aborted) log.warn({ ...bot, failure: result.failure }, 'updates were not fetched');
  return null;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
