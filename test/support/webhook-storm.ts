/**
 * Webhooks of every kind against charges of the generic gateway: a plan drawn from a seed, and the
 * gateway and the strangers who carry it out.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { newId } from '@rastro/runtime';
import { Webhook } from 'standardwebhooks';
import { request } from 'undici';
import { drawer } from './drawer.ts';

export interface StormCharge {
  readonly paymentId: string;
  readonly chargeId: string;
  readonly amountCents: number;
  /** Whose webhooks are believed about it. */
  readonly accountId: string;
}

export interface StormAccount {
  readonly id: string;
  readonly webhookSecret: string;
}

/** `early` and `expired` are well signed and wrong; what the gateway itself says must win. */
export type PostKind =
  | 'valid'
  | 'early'
  | 'expired'
  | 'forged'
  | 'replayed'
  | 'truncated'
  | 'wrong amount'
  | 'wrong currency'
  | "other tenant's"
  | 'unknown charge';

export interface Post {
  readonly kind: PostKind;
  readonly charge: StormCharge;
  readonly accountId: string;
  readonly webhookId: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** When it is posted, from 0 to 1. */
  readonly at: number;
}

/** The gateway's word for whether it was accepted: it tries again until then, strangers do not. */
const isOfGateway = (kind: PostKind): boolean =>
  !['forged', 'replayed', 'truncated'].includes(kind);

export const rightAnswers: Readonly<Record<PostKind, readonly number[]>> = {
  valid: [200],
  early: [200],
  expired: [200],
  forged: [401],
  replayed: [401],
  truncated: [400, 401],
  'wrong amount': [200],
  'wrong currency': [200],
  "other tenant's": [200],
  'unknown charge': [200],
};

export interface Storm {
  readonly posts: readonly Post[];
  /** Charges that are paid at the bank, by payment id, and when; no other is. */
  readonly paidAt: ReadonlyMap<string, number>;
}

/** Copies of each valid webhook, each on its own way and in its own time. */
const copies = 3;

export function planStorm(options: {
  charges: readonly StormCharge[];
  accounts: readonly StormAccount[];
  posts: number;
  paidShare: number;
  seed: number;
}): Storm {
  const { charges, accounts, posts: total, paidShare, seed } = options;
  const draw = drawer(seed, total * 4 + charges.length * 8);
  const paidAt = new Map<string, number>();
  const posts: Post[] = [];
  const add = (kind: PostKind, charge: StormCharge, at: number, webhookId = newId()): void => {
    posts.push(postOf(kind, { charge, at, webhookId, accounts, draw }));
  };
  for (const charge of charges) {
    const at = 0.03 + draw() * 0.8;
    if (draw() >= paidShare) continue;
    paidAt.set(charge.paymentId, at);
    const webhookId = newId();
    for (let copy = 0; copy < copies; copy += 1) add('valid', charge, at + draw() * 0.1, webhookId);
    if (draw() < 0.3) add('early', charge, at - draw() * 0.03);
    if (draw() < 0.3) add('expired', charge, at + (draw() - 0.5) * 0.1);
  }
  const lies = ['forged', 'replayed', 'truncated', 'wrong amount', 'wrong currency'] as const;
  const others = ["other tenant's", 'unknown charge'] as const;
  const kinds = [...lies, ...others];
  while (posts.length < total) {
    const charge = charges[Math.floor(draw() * charges.length)] as StormCharge;
    add(kinds[Math.floor(draw() * kinds.length)] ?? 'forged', charge, draw());
  }
  return { posts: posts.toSorted((a, b) => a.at - b.at), paidAt };
}

function postOf(
  kind: PostKind,
  circumstances: {
    charge: StormCharge;
    at: number;
    webhookId: string;
    accounts: readonly StormAccount[];
    draw: () => number;
  },
): Post {
  const { charge, at, webhookId, accounts, draw } = circumstances;
  const own = accounts.find(({ id }) => id === charge.accountId) as StormAccount;
  const other = accounts.find(({ id }) => id !== charge.accountId) as StormAccount;
  const account = kind === "other tenant's" ? other : own;
  const whole = bodyOf(kind, charge, draw);
  const foreign = `whsec_${Buffer.from(newId()).toString('base64')}`;
  const sentAt = new Date(Date.now() - (kind === 'replayed' ? 600_000 : 0));
  const verifier = new Webhook(kind === 'forged' ? foreign : account.webhookSecret);
  const cut = Math.floor(1 + draw() * (whole.length - 2));
  const body = kind === 'truncated' ? whole.slice(0, cut) : whole;
  // Half of what was cut on its way was cut before it was signed.
  const signed = kind === 'truncated' && draw() < 0.5 ? whole : body;
  return {
    kind,
    charge,
    at,
    accountId: account.id,
    webhookId,
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': webhookId,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1_000)),
      'webhook-signature': verifier.sign(webhookId, sentAt, signed),
    },
  };
}

function bodyOf(kind: PostKind, charge: StormCharge, draw: () => number): string {
  const { chargeId, paymentId, amountCents } = charge;
  const isUnknown = kind === 'unknown charge';
  const cents = kind === 'wrong amount' ? Math.floor(draw() * 100_000) : amountCents;
  const data = {
    charge_id: isUnknown ? `chg_${newId()}` : chargeId,
    external_reference: isUnknown ? newId() : paymentId,
    amount_cents: cents,
    currency: kind === 'wrong currency' ? 'ARS' : 'BRL',
    paid_at: new Date().toISOString(),
  };
  const type = kind === 'expired' ? 'charge.expired' : 'charge.paid';
  return JSON.stringify({ type, timestamp: new Date().toISOString(), data });
}

export interface Answered {
  readonly post: Post;
  /** The last one. */
  readonly status: number;
}

/**
 * Posts everything in its time and order.
 * @param pay plays the payer: resolves when the gateway itself calls the charge paid
 * @param calm resolves when nobody is killed any more, which takes a slow machine longer
 * @throws when the gateway's own messages are not accepted within a minute and a half of calm
 */
export async function playStorm(
  { posts, paidAt }: Storm,
  options: {
    origin: string;
    durationMs: number;
    pay: (charge: StormCharge) => Promise<void>;
    calm: Promise<unknown>;
  },
): Promise<Answered[]> {
  const { origin, durationMs, pay, calm } = options;
  const startedMs = performance.now();
  let isCalm = false;
  void calm.finally(() => (isCalm = true)).catch(() => {});
  const paying = new Map<string, Promise<void>>();
  const dueMs = (at: number): number => startedMs + at * durationMs - performance.now();
  const paid = (charge: StormCharge): Promise<void> => {
    const known = paying.get(charge.paymentId) ?? pay(charge);
    paying.set(charge.paymentId, known);
    return known;
  };
  return Promise.all(
    posts.map(async (post) => {
      await delay(Math.max(0, dueMs(post.at)));
      if (post.kind === 'valid' && paidAt.has(post.charge.paymentId)) await paid(post.charge);
      return { post, status: await send(origin, post, () => isCalm) };
    }),
  );
}

const retryMs = 400;
const giveUpMs = 90_000;

async function send(origin: string, post: Post, isCalm: () => boolean): Promise<number> {
  let deadline = performance.now() + giveUpMs;
  for (;;) {
    const status = await once(origin, post);
    // No stranger waits for a server that is down; here each comes again until somebody answers.
    const isHeard = status !== null && status < 500;
    if (isHeard && (status < 300 || !isOfGateway(post.kind))) return status;
    if (!isCalm()) deadline = performance.now() + giveUpMs;
    if (performance.now() > deadline) throw new Error(`${post.kind} was answered ${status}`);
    await delay(retryMs);
  }
}

async function once(origin: string, { accountId, body, headers }: Post): Promise<number | null> {
  try {
    const answer = await request(`${origin}/webhooks/${accountId}`, {
      method: 'POST',
      body,
      headers,
      headersTimeout: 10_000,
    });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return null;
  }
}
