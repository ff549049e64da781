/** Keeps a bot's webhook at Telegram as we want it; pending updates are never dropped. */
import { type Logger, sha256Hex, type Sql } from '@rastro/runtime';
import type { Api } from 'grammy';
import type { Signal } from '../core/bot-breaker.ts';
import { differenceOf, judgeWebhook, type WantedWebhook } from '../core/webhook-check.ts';
import { findHealth, type KnownHealth, saveFingerprint } from './health-table.ts';
import type { CallFailure } from '../core/sending.ts';
import { allowedUpdates, attempt } from './telegram.ts';

export interface Webhook {
  readonly url: string;
  readonly secretToken: string;
}

export interface WebhookParts {
  readonly sql: Sql;
  readonly log: Logger;
  readonly botId: string;
  readonly api: Api;
  readonly webhook: Webhook;
}

export interface Reconciled {
  readonly signal: Signal | null;
  /** Telegram, or our own caution, wants the next look within so long or after it. */
  readonly waitMs: number | null;
}

const maxConnections = 100;

function wantedOf({ api, webhook }: Pick<WebhookParts, 'api' | 'webhook'>): WantedWebhook {
  const fingerprint = sha256Hex(JSON.stringify([webhook.url, webhook.secretToken, api.token]));
  return { url: webhook.url, allowedUpdates, maxConnections, fingerprint };
}

/** Sets the webhook where Telegram's differs from ours, and again where updates do not arrive. */
export async function reconcileWebhook(parts: WebhookParts): Promise<Reconciled> {
  const { sql, log, botId, api } = parts;
  const wanted = wantedOf(parts);
  const known = await findHealth(sql, botId);
  const info = await attempt(() => api.getWebhookInfo());
  if (!info.ok) return afterFailure(log, botId, info.failure);
  const difference = differenceOf(info.value, wanted, known.webhookFingerprint);
  const signal = judge(info.value, wanted, known);
  if (difference === null && signal.type === 'WebhookWorks') return { signal, waitMs: null };
  if (signal.type === 'WebhookFails') {
    const { reason, pending } = signal;
    log.warn({ botId, reason, pending }, 'updates do not reach us; setting the webhook again');
  }
  const set = await setWebhook(parts, wanted);
  if (!set.ok) return afterFailure(log, botId, set.failure);
  await saveFingerprint(sql, botId, wanted.fingerprint);
  log.info({ botId, difference }, 'webhook registered');
  return { signal, waitMs: null };
}

const judge = (
  info: Parameters<typeof judgeWebhook>[0],
  wanted: WantedWebhook,
  { webhookFingerprint, state }: KnownHealth,
): Signal => {
  const known = { fingerprint: webhookFingerprint, trouble: state.webhookTrouble };
  return judgeWebhook(info, wanted, known, Date.now());
};

function setWebhook({ api, webhook }: WebhookParts, wanted: WantedWebhook) {
  return attempt(() =>
    api.setWebhook(wanted.url, {
      secret_token: webhook.secretToken,
      allowed_updates: [...allowedUpdates],
      max_connections: wanted.maxConnections,
      drop_pending_updates: false,
    }),
  );
}

const retryMs = 5_000;

function afterFailure(log: Logger, botId: string, failure: CallFailure): Reconciled {
  log.warn({ botId, failure }, 'the webhook could not be seen to; trying again');
  if (failure.type === 'rate_limited') return { signal: null, waitMs: failure.retryAfterMs };
  if (failure.type !== 'refused') return { signal: null, waitMs: retryMs };
  const reason = `Telegram does not take our webhook: ${failure.reason}`;
  return { signal: { type: 'WebhookRefused', reason }, waitMs: null };
}

/** Once we ask for updates there is no webhook of ours that anybody could take away. */
export async function forgetWebhook(sql: Sql, botId: string): Promise<void> {
  const { webhookFingerprint } = await findHealth(sql, botId);
  if (webhookFingerprint !== null) await saveFingerprint(sql, botId, null);
}

const leaveWithinMs = 4_000;

/**
 * Takes back a webhook that is ours, of a bot that we do not serve any more: its updates then wait
 * at Telegram for a day, for whoever serves it next. Anybody else's is left alone.
 */
export async function leaveWebhook(parts: WebhookParts): Promise<void> {
  const { sql, log, botId, api, webhook } = parts;
  const { webhookFingerprint } = await findHealth(sql, botId);
  if (webhookFingerprint === null) return;
  // grammY's types know only the polyfill of AbortSignal that it brings along.
  const soon = () =>
    AbortSignal.timeout(leaveWithinMs) as unknown as Parameters<Api['getWebhookInfo']>[0];
  const info = await attempt(() => api.getWebhookInfo(soon()));
  const isOurs = info.ok && info.value.url === webhook.url;
  const result = isOurs
    ? await attempt(() => api.deleteWebhook({ drop_pending_updates: false }, soon()))
    : info;
  // A token that is refused cannot be told anything, now or later.
  if (!result.ok && result.failure.type !== 'unauthorized') {
    log.warn({ botId, failure: result.failure }, 'the webhook of a bot that left is still set');
    return;
  }
  await saveFingerprint(sql, botId, null);
  if (isOurs) log.info({ botId }, 'webhook taken back');
}
