/** Webhooks of the PIX gateways: each in its own words, retried until a 2xx, and their faults. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { FaultAction, Faults } from '../faults/rules.ts';
import type { Journal, Table } from '../journal.ts';
import type { Log } from '../log.ts';
import type { WorldPixAccount } from '../world.ts';
import type { Charge, News } from './charge.ts';
import { kindOf } from './account.ts';
import type { WebhookMessage } from './vendor.ts';
import { vendorOf } from './vendors.ts';

export interface Delivery {
  id: string;
  webhookId: string;
  chargeId: string;
  accountId: string;
  /** In the gateway's own word. */
  type: string;
  url: string;
  body: string;
  contentType: string;
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

type AccountOf = (accountId: string) => WorldPixAccount | undefined;

export class Webhooks {
  readonly #table: Table<Delivery>;
  readonly #faults: Faults;
  readonly #accountOf: AccountOf;
  readonly #log: Log;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  readonly #held = new Map<string, Delivery>();
  /** What was held, by the delivery after which it goes out. */
  readonly #overtaken = new Map<string, Delivery>();
  readonly #closing = new AbortController();

  constructor(journal: Journal, faults: Faults, accountOf: AccountOf, log: Log) {
    this.#table = journal.table<Delivery>('pix.webhooks', maxDeliveries);
    this.#faults = faults;
    this.#accountOf = accountOf;
    this.#log = log;
    for (const delivery of this.#table.values()) {
      if (delivery.state === 'waiting') this.#arm(delivery);
    }
  }

  announce(charge: Charge, news: News, options?: { forge?: boolean }): void {
    const messages = [vendorOf(charge.kind).messageOf(charge, news) ?? []].flat();
    if (messages.length === 0) return;
    const call = { method: news, path: charge.callbackUrl };
    const fault = this.#faults.strike('pixWebhooks', call);
    const isForged = options?.forge === true;
    for (const message of messages) this.#send(charge, message, { fault, isForged });
  }

  /** Newest first. */
  deliveries(): Delivery[] {
    return this.#table.values().toReversed();
  }

  reset(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#held.clear();
    this.#overtaken.clear();
    this.#table.clear();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.allSettled(this.#running);
  }

  #send(
    charge: Charge,
    message: WebhookMessage,
    { fault, isForged }: { fault: FaultAction | null; isForged: boolean },
  ): void {
    const delivery = newDelivery(charge, message, {
      forged: isForged || fault?.forge === true,
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
    this.#letPass(charge.accountId, delivery);
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
    void attempt.finally(() => {
      this.#running.delete(attempt);
      this.#release(this.#overtaken.get(delivery.id));
      this.#overtaken.delete(delivery.id);
    });
  }

  async #tryOnce(delivery: Delivery): Promise<void> {
    const account = this.#accountOf(delivery.accountId);
    if (account === undefined) return this.#settle(delivery, 'failed');
    const atMs = Date.now();
    const { status, problem } = await post(delivery, account, this.#closing.signal);
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

  #letPass(accountId: string, overtaking: Delivery): void {
    const before = this.#held.get(accountId);
    if (before === undefined) return;
    this.#held.delete(accountId);
    if (overtaking.state === 'lost') this.#release(before);
    else this.#overtaken.set(overtaking.id, before);
  }

  /** At once, unless its time has come already. */
  #release(held: Delivery | undefined): void {
    if (held === undefined || this.#closing.signal.aborted) return;
    if (!this.#timers.has(held.id) || held.attempts.length > 0) return;
    held.nextAtMs = Date.now();
    this.#arm(held);
  }
}

function newDelivery(
  charge: Charge,
  { type, body, contentType, query = {} }: WebhookMessage,
  how: { forged: boolean; lost: boolean; delayMs: number },
): Delivery {
  const nowMs = Date.now();
  const url = new URL(charge.callbackUrl);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return {
    id: randomUUID(),
    webhookId: `msg_${randomBytes(12).toString('hex')}`,
    chargeId: charge.id,
    accountId: charge.accountId,
    type,
    url: url.href,
    body,
    contentType,
    state: how.lost ? 'lost' : 'waiting',
    forged: how.forged,
    attempts: [],
    nextAtMs: nowMs + how.delayMs,
  };
}

async function post(
  delivery: Delivery,
  account: WorldPixAccount,
  closing: AbortSignal,
): Promise<{ status: number | null; problem: string | null }> {
  const { webhookId, body, url, forged: isForged } = delivery;
  const dispatch = { webhookId, body, url, account, isForged, sentAt: new Date() };
  const proof = vendorOf(kindOf(account)).headersOf(dispatch);
  try {
    const response = await fetch(delivery.url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]),
      headers: {
        'content-type': delivery.contentType,
        'user-agent': 'Rastro-Sandbox-PIX/1.0',
        ...proof,
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
