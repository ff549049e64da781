/** Ingester: makes a bot's updates reach stream UPDATES; those that are not pushed are asked for. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Decoded } from '@rastro/events';
import { type Nats, publishJson } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import type { Api } from 'grammy';
import { type Incoming, readUpdate, type TelegramUpdate } from '../core/incoming.ts';
import { sendRetryMs } from '../core/retry.ts';
import type { FleetBot } from './bot-fleet.ts';
import type { CallResult } from '../core/sending.ts';
import { allowedUpdates, attempt } from './telegram.ts';

/** Resolves once JetStream has it; the same update twice is stored once. */
export async function storeUpdate(nats: Nats, incoming: Incoming): Promise<void> {
  const { botId, workspaceId, updateId } = incoming;
  const subject = `telegram.${workspaceId}.${botId}`;
  await publishJson(nats, { subject, id: `${botId}:${updateId}`, body: incoming });
}

interface PollOptions {
  readonly bot: FleetBot;
  readonly api: Api;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly decode: (update: unknown) => Decoded<TelegramUpdate>;
  readonly store: (incoming: Incoming) => Promise<void>;
  /** Telegram refused the bot's token. */
  readonly onUnauthorized: () => void;
}

type Update = Awaited<ReturnType<Api['getUpdates']>>[number];

const pollSeconds = 8;

/**
 * Long polling until the signal. The offset moves on, which makes Telegram forget, only after
 * all updates before it are stored.
 */
export async function pollUpdates(options: PollOptions): Promise<void> {
  const { bot, log, signal, decode, store } = options;
  let offset = 0;
  let failures = 0;
  let hasLeftWebhook = false;
  while (!signal.aborted) {
    try {
      hasLeftWebhook ||= await leaveWebhook(options);
      const result = hasLeftWebhook ? await fetchUpdates(options, offset) : null;
      // Somebody has set a webhook meanwhile.
      if (result?.ok === false && result.failure.type === 'refused') hasLeftWebhook = false;
      const updates = result?.ok ? result.value : null;
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
async function leaveWebhook(options: PollOptions): Promise<boolean> {
  const { api, bot, log } = options;
  const result = await attempt(() => api.deleteWebhook({ drop_pending_updates: false }));
  if (!result.ok) log.warn({ ...bot, failure: result.failure }, 'polling cannot begin yet');
  noteRefusal(options, result);
  return result.ok;
}

async function fetchUpdates(options: PollOptions, offset: number): Promise<CallResult<Update[]>> {
  const { api, bot, log, signal } = options;
  const query = { offset, timeout: pollSeconds, allowed_updates: [...allowedUpdates] };
  // grammY's types know only the polyfill of AbortSignal that it brings along.
  const untilStopped = signal as unknown as Parameters<Api['getUpdates']>[1];
  const result = await attempt(() => api.getUpdates(query, untilStopped));
  if (!result.ok && !signal.aborted) {
    log.warn({ ...bot, failure: result.failure }, 'updates were not fetched');
  }
  noteRefusal(options, result);
  return result;
}

function noteRefusal({ onUnauthorized }: PollOptions, result: CallResult<unknown>): void {
  if (!result.ok && result.failure.type === 'unauthorized') onUnauthorized();
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
