/** What one gateway's API is in front of the books that all of them share. */
import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Faults } from '../faults/rules.ts';
import type { GatewayKind, WorldHolder, WorldPixAccount } from '../world.ts';
import { accountIdOf, kindOf } from './account.ts';
import type { Change, Charge, ChargeOrder, Creation, News } from './charge.ts';

/** A webhook before it is signed. */
export interface WebhookMessage {
  /** In the gateway's own word; it has none where all its messages are the same. */
  readonly type: string;
  readonly body: string;
  readonly contentType: string;
  /** Added to the seller's address, e.g. `{ type: 'payment' }`. */
  readonly query?: Readonly<Record<string, string>>;
}

/** One try to deliver a message. */
export interface Dispatch {
  /** The same for each try and each copy. */
  readonly webhookId: string;
  readonly body: string;
  /** With the message's query. */
  readonly url: string;
  readonly sentAt: Date;
  readonly account: WorldPixAccount;
  /** To be signed as a stranger would who lacks the secret. */
  readonly isForged: boolean;
}

/** The part of the books that an API leads to. */
export interface Books {
  create(account: WorldPixAccount, key: string | null, order: ChargeOrder): Creation;
  find(chargeId: string): Charge | undefined;
  /** Newest first. */
  charges(): Charge[];
  pay(chargeId: string, evenIfExpired: boolean): Change | null;
  /** @param refundId where the seller names the refund */
  refund(chargeId: string, amountCents: number | null, refundId?: string): Change | null;
}

export interface VendorDesk {
  readonly world: WorldHolder;
  readonly gateway: Books;
  readonly faults: Faults;
}

export interface Vendor {
  readonly kind: GatewayKind;
  /** Under which path the sandbox plays it, e.g. `/woovi`; empty for the generic gateway. */
  readonly prefix: string;
  readonly newChargeId: () => string;
  readonly register: (app: FastifyInstance, desk: VendorDesk) => void;
  /** Null or none where this gateway says nothing about it; some say one thing twice. */
  readonly messageOf: (
    charge: Charge,
    news: News,
  ) => WebhookMessage | readonly WebhookMessage[] | null;
  /** What proves the message, as far as this gateway proves anything. */
  readonly headersOf: (dispatch: Dispatch) => Record<string, string>;
}

/** @param key as the call carried it */
export function accountWithKey(
  world: WorldHolder,
  kind: GatewayKind,
  key: string | undefined,
): WorldPixAccount | null {
  if (key === undefined) return null;
  const given = Buffer.from(key);
  const found = world.current.pixAccounts.find((account) => {
    const wanted = Buffer.from(account.apiKey);
    const isKind = kindOf(account) === kind;
    return isKind && wanted.length === given.length && timingSafeEqual(wanted, given);
  });
  return found ?? null;
}

/** Null for other accounts' charges, as if there were none. */
export function ownCharge(
  { gateway }: VendorDesk,
  account: WorldPixAccount,
  chargeId: string,
): Charge | null {
  const charge = gateway.find(chargeId);
  return charge !== undefined && charge.accountId === accountIdOf(account) ? charge : null;
}
