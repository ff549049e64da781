/** Compares what Telegram knows of a bot's webhook with what we want. Times in milliseconds. */
import type { BreakerState, Signal } from './bot-breaker.ts';

/** The part of Telegram's `WebhookInfo` that is read; dates in seconds. */
export interface WebhookInfo {
  readonly url?: string | undefined;
  readonly pending_update_count: number;
  readonly last_error_date?: number | undefined;
  readonly last_error_message?: string | undefined;
  readonly max_connections?: number | undefined;
  readonly allowed_updates?: readonly string[] | undefined;
}

export interface WantedWebhook {
  readonly url: string;
  readonly allowedUpdates: readonly string[];
  readonly maxConnections: number;
  /** Stands for all of it, the secret and the token too, which cannot be read back. */
  readonly fingerprint: string;
}

/** An error older than this says nothing about now: Telegram keeps the last one for ever. */
const recentErrorMs = 5 * 60_000;

/** What has to be set anew; null when Telegram has all of it. */
export function differenceOf(
  info: WebhookInfo,
  wanted: WantedWebhook,
  registeredFingerprint: string | null,
): string | null {
  if (info.url !== wanted.url) return 'its address';
  if (registeredFingerprint !== wanted.fingerprint) return 'its secret';
  if (info.max_connections !== wanted.maxConnections) return 'its connections';
  const given = (info.allowed_updates ?? []).toSorted().join();
  return given === wanted.allowedUpdates.toSorted().join() ? null : 'the kinds of updates';
}

/**
 * Whether updates reach us. What waits only counts while it does not become less: a backlog that
 * drains after an outage is no trouble.
 */
export function judgeWebhook(
  info: WebhookInfo,
  wanted: WantedWebhook,
  known: { fingerprint: string | null; trouble: BreakerState['webhookTrouble'] },
  nowMs: number,
): Signal {
  const pending = info.pending_update_count;
  const wasSet = known.fingerprint === wanted.fingerprint;
  if (wasSet && info.url !== wanted.url) {
    const where = info.url ? ` to ${hostOf(info.url)}` : '';
    const reason = `another program took its updates away${where}`;
    return { type: 'WebhookFails', reason, pending };
  }
  const errorAtMs = (info.last_error_date ?? 0) * 1_000;
  const isRecent = info.url === wanted.url && nowMs - errorAtMs < recentErrorMs;
  const isStuck = pending > 0 && pending >= (known.trouble?.pending ?? 0);
  // Setting it again makes Telegram forget the error, which does not mean that it is over.
  if (!isStuck || !(isRecent || known.trouble !== null)) return { type: 'WebhookWorks' };
  const said = info.last_error_message ?? 'they wait at Telegram';
  const reason = `customers' messages do not reach us: ${said}`;
  return { type: 'WebhookFails', reason: reason.slice(0, 500), pending };
}

/** Without the path, which may hold somebody's token. */
function hostOf(url: string): string {
  return /^\w+:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(url)?.[1] ?? 'an unreadable address';
}
