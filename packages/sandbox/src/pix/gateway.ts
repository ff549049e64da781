/** The PIX gateway's books: accounts, charges, idempotency keys, expiry. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Journal, Table } from '../journal.ts';
import type { WorldHolder, WorldPixAccount } from '../world.ts';
import { accountIdOf, kindOf } from './account.ts';
import { buildBrCode, readBrCode } from './br-code.ts';
import {
  type Change,
  type Charge,
  type ChargeOrder,
  type Creation,
  disputeCharge,
  expireCharge,
  formatEndToEndId,
  payCharge,
  refundCharge,
  settleDispute,
} from './charge.ts';
import type { Books } from './vendor.ts';
import { vendorOf } from './vendors.ts';
import type { Webhooks } from './webhooks.ts';

const maxCharges = 20_000;

export class Gateway implements Books {
  readonly #charges: Table<Charge>;
  readonly #keys: Table<{ chargeId: string; orderHash: string }>;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #world: WorldHolder;
  readonly #webhooks: Webhooks;

  constructor(journal: Journal, world: WorldHolder, webhooks: Webhooks) {
    this.#charges = journal.table<Charge>('pix.charges', maxCharges);
    this.#keys = journal.table('pix.keys', maxCharges);
    this.#world = world;
    this.#webhooks = webhooks;
    for (const charge of this.#charges.values()) {
      if (charge.status === 'pending') this.#armExpiry(charge);
    }
  }

  /** @param key null at gateways that make another charge each time they are asked */
  create(account: WorldPixAccount, key: string | null, order: ChargeOrder): Creation {
    const accountId = accountIdOf(account);
    const scopedKey = `${accountId}:${key}`;
    const orderHash = createHash('sha256').update(JSON.stringify(order)).digest('hex');
    const before = key === null ? undefined : this.#keys.get(scopedKey);
    const known = before === undefined ? undefined : this.#charges.get(before.chargeId);
    if (before !== undefined && known !== undefined) {
      return { kind: before.orderHash === orderHash ? 'repeated' : 'key_reused', charge: known };
    }
    const charge = newCharge(account, accountId, order);
    this.#charges.put(charge.id, charge);
    if (key !== null) this.#keys.put(scopedKey, { chargeId: charge.id, orderHash });
    this.#armExpiry(charge);
    this.#webhooks.announce(charge, 'charge.created');
    return { kind: 'created', charge };
  }

  find(chargeId: string): Charge | undefined {
    return this.#charges.get(chargeId);
  }

  /** The charge that a code pays, whoever's it is. */
  findByCode(code: string): { charge: Charge; payee: string } | { problem: string } {
    const reading = readBrCode(code);
    if (!reading.ok) return { problem: reading.problem };
    const { location, payeeName } = reading.code;
    const charge = this.#charges.values().find((candidate) => candidate.location === location);
    if (charge === undefined) return { problem: 'This code is valid, but of no charge here.' };
    const accounts = this.#world.current.pixAccounts;
    const account = accounts.find((one) => accountIdOf(one) === charge.accountId);
    return { charge, payee: account?.name ?? payeeName };
  }

  /** Newest first. */
  charges(): Charge[] {
    return this.#charges.values().toReversed();
  }

  pay(chargeId: string, evenIfExpired: boolean): Change | null {
    return this.#change(chargeId, (charge) => {
      const nowMs = Date.now();
      const random = randomBytes(9).toString('hex').slice(0, 11);
      const endToEndId = formatEndToEndId(nowMs, random);
      return payCharge(charge, { nowMs, endToEndId, evenIfExpired });
    });
  }

  refund(chargeId: string, amountCents: number | null, id: string = randomUUID()): Change | null {
    const refund = { amountCents, id, nowMs: Date.now() };
    return this.#change(chargeId, (charge) => refundCharge(charge, refund));
  }

  dispute(chargeId: string): Change | null {
    return this.#change(chargeId, disputeCharge);
  }

  settle(chargeId: string, isWon: boolean): Change | null {
    return this.#change(chargeId, (charge) => settleDispute(charge, isWon));
  }

  expire(chargeId: string): Change | null {
    return this.#change(chargeId, expireCharge);
  }

  reset(): void {
    this.close();
    this.#charges.clear();
    this.#keys.clear();
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #change(chargeId: string, decide: (charge: Charge) => Change): Change | null {
    const charge = this.#charges.get(chargeId);
    if (charge === undefined) return null;
    const changed = decide(charge);
    if (!changed.ok) return changed;
    clearTimeout(this.#timers.get(chargeId));
    this.#timers.delete(chargeId);
    this.#charges.put(chargeId, changed.charge);
    this.#webhooks.announce(changed.charge, changed.news);
    return changed;
  }

  #armExpiry(charge: Charge): void {
    const waitMs = Math.max(0, charge.expiresAtMs - Date.now());
    const expire = () => this.#change(charge.id, expireCharge);
    this.#timers.set(charge.id, setTimeout(expire, waitMs));
  }
}

function newCharge(account: WorldPixAccount, accountId: string, order: ChargeOrder): Charge {
  const nowMs = Date.now();
  const location = `pix.sandbox.test/qr/v2/${randomUUID().replaceAll('-', '')}`;
  const kind = kindOf(account);
  return {
    id: vendorOf(kind).newChargeId(),
    kind,
    accountId,
    externalReference: order.externalReference,
    amountCents: order.amountCents,
    currency: 'BRL',
    description: order.description,
    callbackUrl: order.callbackUrl,
    status: 'pending',
    pixCode: buildBrCode({
      location,
      amountCents: order.amountCents,
      payeeName: account.name ?? 'Loja de Teste',
      payeeCity: 'São Paulo',
    }),
    location,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + order.expiresInSeconds * 1000,
    paidAtMs: null,
    endToEndId: null,
    refundedCents: 0,
    refunds: [],
    ...(order.metadata === undefined ? {} : { metadata: order.metadata }),
  };
}
