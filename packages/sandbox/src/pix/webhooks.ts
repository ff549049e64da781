/** Webhooks of the PIX gateway: Standard Webhooks 1.0, retried until a 2xx, and their faults. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { Faults } from '../faults/rules.ts';
import type { Journal, Table } from '../journal.ts';
import type { Log } from '../log.ts';
import type { Charge, WebhookType } from './charge.ts';

export interface Delivery {
  id: string;
  webhookId: string;
  chargeId: string;
  accountId: string;
  type: WebhookType;
  url: string;
  body: string;
  state: 'waiting' | 'delivered' | 'failed' | 'lost';
  /** Signed with a secret that is not the account's. */
  forged: boolean;
  attempts: { atMs: number; status: number | null; problem: string | null }[];
  nextAtMs: number;
}

/** Waits before each try; after the last one the gateway gives up. */
const scheduleMs = [0, 1, 2, 3, 5, 10, 20, 30, 60, 60, 60, 120, 120, 300, 300, 300].map(
  (seconds) => seconds * 1000,
);
const timeoutMs = 15_000;
const reorderHoldMs = 5000;
const maxDeliveries = 5000;

type SecretOf = (accountId: string) => string | null;

export class Webhooks {
  readonly #table: Table<Delivery>;
  readonly #faults: Faults;
  readonly #secretOf: SecretOf;
  readonly #log: Log;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  readonly #held = new Map<string, Delivery>();
  readonly #closing = new AbortController();

  /** @param secretOf the webhook secret of an account; null once the account is gone */
  constructor(journal: Journal, faults: Faults, secretOf: SecretOf, log: Log) {
    this.#table = journal.table<Delivery>('pix.webhooks', maxDeliveries);
    this.#faults = faults;
    this.#secretOf = secretOf;
    this.#log = log;
    for (const delivery of this.#table.values()) {
      if (delivery.state === 'waiting') this.#arm(delivery);
    }
  }

  announce(charge: Charge, type: WebhookType, options?: { forge?: boolean }): void {
    const call = { method: type, path: charge.callbackUrl };
    const fault = this.#faults.strike('pixWebhooks', call);
    const delivery = newDelivery(charge, type, {
      forged: options?.forge === true || fault?.forge === true,
      lost: fault?.lose === true,
      delayMs: fault?.lateMs ?? fault?.delayMs ?? 0,
    });
    if (fault?.reorder === true && !this.#held.has(charge.accountId)) {
      delivery.nextAtMs = Date.now() + reorderHoldMs;
      this.#held.set(charge.accountId, delivery);
      this.#enqueue(delivery);
      return;
    }
    this.#enqueue(delivery);
    for (let copy = 0; copy < (fault?.duplicate ?? 0); copy += 1) {
      this.#enqueue({ ...delivery, id: randomUUID(), attempts: [] });
    }
    this.#releaseHeld(charge.accountId);
  }

  /** Newest first. */
  deliveries(): Delivery[] {
    return this.#table.values().toReversed();
  }

  reset(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#held.clear();
    this.#table.clear();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.allSettled(this.#running);
  }

  #enqueue(delivery: Delivery): void {
    this.#table.put(delivery.id, delivery);
    if (delivery.state === 'waiting') this.#arm(delivery);
  }

  #arm(delivery: Delivery): void {
    clearTimeout(this.#timers.get(delivery.id));
    const waitMs = Math.max(0, delivery.nextAtMs - Date.now());
    this.#timers.set(
      delivery.id,
      setTimeout(() => this.#start(delivery), waitMs),
    );
  }

  #start(delivery: Delivery): void {
    this.#timers.delete(delivery.id);
    const attempt = this.#tryOnce(delivery).catch((error: unknown) =>
      this.#log.error({ err: error, chargeId: delivery.chargeId }, 'a webhook attempt broke'),
    );
    this.#running.add(attempt);
    void attempt.finally(() => this.#running.delete(attempt));
  }

  async #tryOnce(delivery: Delivery): Promise<void> {
    const secret = delivery.forged ? foreignSecret() : this.#secretOf(delivery.accountId);
    if (secret === null) return this.#settle(delivery, 'failed');
    const atMs = Date.now();
    const { status, problem } = await post(delivery, secret, this.#closing.signal);
    const isGone = this.#closing.signal.aborted || this.#table.get(delivery.id) === undefined;
    if (isGone) return;
    delivery.attempts.push({ atMs, status, problem });
    if (status !== null && status >= 200 && status < 300) {
      return this.#settle(delivery, 'delivered');
    }
    const waitMs = scheduleMs[delivery.attempts.length];
    if (waitMs === undefined || status === 410) return this.#settle(delivery, 'failed');
    delivery.nextAtMs = Date.now() + waitMs;
    this.#table.put(delivery.id, delivery);
    this.#arm(delivery);
  }

  #settle(delivery: Delivery, state: Delivery['state']): void {
    delivery.state = state;
    this.#table.put(delivery.id, delivery);
  }

  #releaseHeld(accountId: string): void {
    const before = this.#held.get(accountId);
    if (before === undefined) return;
    this.#held.delete(accountId);
    // A moment later than the one that overtook it.
    before.nextAtMs = Date.now() + 150;
    if (before.state === 'waiting' && before.attempts.length === 0) this.#arm(before);
  }
}

function newDelivery(
  charge: Charge,
  type: WebhookType,
  how: { forged: boolean; lost: boolean; delayMs: number },
): Delivery {
  const nowMs = Date.now();
  return {
    id: randomUUID(),
    webhookId: `msg_${randomBytes(12).toString('hex')}`,
    chargeId: charge.id,
    accountId: charge.accountId,
    type,
    url: charge.callbackUrl,
    body: JSON.stringify({
      type,
      timestamp: new Date(nowMs).toISOString(),
      data: {
        charge_id: charge.id,
        external_reference: charge.externalReference,
        amount_cents: charge.amountCents,
        currency: charge.currency,
        paid_at: charge.paidAtMs === null ? null : new Date(charge.paidAtMs).toISOString(),
        end_to_end_id: charge.endToEndId,
      },
    }),
    state: how.lost ? 'lost' : 'waiting',
    forged: how.forged,
    attempts: [],
    nextAtMs: nowMs + how.delayMs,
  };
}

function foreignSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

async function post(
  delivery: Delivery,
  secret: string,
  closing: AbortSignal,
): Promise<{ status: number | null; problem: string | null }> {
  const sentAt = new Date();
  try {
    const response = await fetch(delivery.url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Rastro-Sandbox-PIX/1.0',
        'webhook-id': delivery.webhookId,
        'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
        'webhook-signature': new Webhook(secret).sign(delivery.webhookId, sentAt, delivery.body),
      },
      body: delivery.body,
    });
    await response.body?.cancel();
    const problem = response.ok ? null : `The answer was ${response.status}.`;
    return { status: response.status, problem };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { status: null, problem: cause instanceof Error ? cause.message : String(cause) };
  }
}
