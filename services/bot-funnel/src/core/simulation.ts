/**
 * Walks a customer through a funnel without Telegram, gateway or clock. The decisions are the
 * service's own; what stands in is a gateway that opens every charge at once, and a clock that
 * jumps.
 */
import type { DataOf } from '@rastro/events';
import type { PaymentFact } from './checkout.ts';
import { decide, type LeadCommand } from './decide.ts';
import type { Decision, Effect, Timer } from './decision.ts';
import { type FunnelSnapshot, parsePress } from './funnel.ts';
import { evolve, type Lead, newLead } from './lead.ts';
import type { Message } from './message.ts';
import type { MessagePart } from './message-part.ts';
import { renderMessage } from './rendering.ts';
import { later } from './time.ts';

export interface SimulatedProduct {
  readonly id: string;
  readonly name: string;
  readonly priceCents: number;
  readonly currency: string;
  readonly accessUrl: string | null;
}

export interface SimulationOptions {
  readonly funnel: FunnelSnapshot;
  readonly products: readonly SimulatedProduct[];
  /** ISO 8601 UTC. */
  readonly startsAt: string;
  readonly pixExpiryMinutes: number;
  /** Where delivery pages are; null where the pool has no pixel and the access itself is sent. */
  readonly deliveryUrl: string | null;
  readonly pixCodeOf?: (paymentId: string) => string;
}

/** What the customer does, or his bank. */
export type Act =
  | { readonly type: 'start' }
  | { readonly type: 'press'; readonly label: string }
  | { readonly type: 'write'; readonly text: string }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'pay' }
  | { readonly type: 'refund' };

export type Line =
  | { readonly at: string; readonly from: 'customer'; readonly act: Act }
  | { readonly at: string; readonly from: 'bot' | 'operator_note'; readonly part: MessagePart }
  /** The short text over the chat that answers a press. */
  | { readonly at: string; readonly from: 'hint'; readonly text: string };

/** The walk asks for something that this customer cannot do; `message` says what he can. */
export class SimulationError extends Error {
  readonly code = 'SIMULATION_IMPOSSIBLE';
}

type Due =
  | { readonly type: 'timer'; readonly key: string; readonly timer: Timer }
  | { readonly type: 'expiry'; readonly payment: DataOf<'PaymentCreated'> };

export class Simulation {
  readonly lines: Line[] = [];
  readonly #options: SimulationOptions;
  readonly #said = new Set<string>();
  readonly #due = new Map<string, { readonly at: string; readonly due: Due }>();
  readonly #payments: DataOf<'PaymentCreated'>[] = [];
  readonly #paid = new Set<string>();
  #lead: Lead = newLead({ leadId: idOf(1), botId: 'simulated' });
  #now: string;
  #ids = 1;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#now = options.startsAt;
  }

  /** @throws {SimulationError} */
  act(act: Act): void {
    this.lines.push({ at: this.#now, from: 'customer', act });
    switch (act.type) {
      case 'start':
        return this.#decide(this.#startCommand());
      case 'press':
        return this.#press(act.label);
      case 'write':
        return this.#decide({ type: 'Write', at: this.#now, funnel: this.#options.funnel });
      case 'wait':
        return this.#wait(later(this.#now, act.ms));
      case 'pay':
        return this.#pay();
      case 'refund':
        return this.#refund();
    }
  }

  #startCommand(): LeadCommand {
    return {
      type: 'Start',
      at: this.#now,
      telegramUserId: 1,
      externalId: '0'.repeat(64),
      languageCode: 'pt-br',
      isPremium: false,
      click: null,
      funnel: this.#options.funnel,
    };
  }

  #press(label: string): void {
    const buttons = this.lines.flatMap((line) => ('part' in line ? line.part.keyboard.flat() : []));
    const button = buttons.findLast(({ text }) => text === label);
    if (button === undefined) {
      const labels = [...new Set(buttons.map(({ text }) => `"${text}"`))];
      throw new SimulationError(
        `There is no button "${label}", only ${labels.join(', ') || 'none'}.`,
      );
    }
    if (!('callback_data' in button)) return;
    const press = parsePress(button.callback_data);
    const { funnel } = this.#options;
    this.#decide({
      type: 'PressButton',
      at: this.#now,
      press,
      funnel,
      newCheckoutId: this.#newId(),
    });
  }

  /** Timers and expiries come up in their order, each at its own time. */
  #wait(until: string): void {
    for (;;) {
      const next = [...this.#due]
        .filter(([, { at }]) => at <= until)
        .toSorted(([, a], [, b]) => (a.at < b.at ? -1 : Number(a.at > b.at)))[0];
      if (next === undefined) break;
      const [key, { at, due }] = next;
      this.#due.delete(key);
      this.#now = at > this.#now ? at : this.#now;
      if (due.type === 'timer') this.#fire(due.timer);
      else this.#expire(due.payment);
    }
    this.#now = until;
  }

  #fire(timer: Timer): void {
    this.#decide({ type: 'FireTimer', at: this.#now, timer, funnel: this.#options.funnel });
  }

  #expire(payment: DataOf<'PaymentCreated'>): void {
    if (this.#paid.has(payment.paymentId)) return;
    this.#observe({ type: 'PaymentExpired', data: { ...payment, expiredAt: this.#now } });
  }

  /** The newest charge that is not paid yet, also one that has expired: a bank may be late. */
  #pay(): void {
    const payment = this.#payments.findLast(({ paymentId }) => !this.#paid.has(paymentId));
    if (payment === undefined) throw new SimulationError('There is no PIX to be paid.');
    this.#paid.add(payment.paymentId);
    const at = this.#now;
    const isLate = at > payment.expiresAt;
    const proof = {
      paidAt: at,
      confirmedAt: at,
      endToEndId: null,
      isLate,
      proof: 'requery',
    } as const;
    this.#observe({ type: 'PaymentPaid', data: { ...payment, ...proof } });
    const { deliveryUrl, funnel, products } = this.#options;
    const { paymentId, productName, productId } = payment;
    const access = products.find(({ id }) => id === productId)?.accessUrl ?? null;
    const link = deliveryUrl === null ? access : `${deliveryUrl}/${paymentId}`;
    this.#decide({ type: 'Deliver', delivery: { paymentId, productName, link }, funnel });
  }

  #refund(): void {
    const payment = this.#payments.findLast(({ paymentId }) => this.#paid.has(paymentId));
    if (payment === undefined) throw new SimulationError('Nothing was paid yet.');
    const refund = { totalRefundedCents: payment.amountCents, isPartial: false };
    const data = { ...payment, ...refund, refundedAt: this.#now };
    this.#observe({ type: 'PaymentRefunded', data });
  }

  #observe(fact: PaymentFact): void {
    const command = { type: 'ObservePayment', at: this.#now, fact, accessStays: false } as const;
    const decision = decide(this.#lead, { ...command, funnel: this.#options.funnel });
    this.#lead = evolve(this.#lead, fact);
    this.#carryOut(decision);
  }

  #decide(command: LeadCommand): void {
    this.#carryOut(decide(this.#lead, command));
  }

  #carryOut({ events, effects }: Decision): void {
    this.#lead = events.reduce(evolve, this.#lead);
    for (const effect of effects) this.#apply(effect);
  }

  #apply(effect: Effect): void {
    switch (effect.type) {
      case 'sendMessage':
        return this.#say('bot', effect.message, effect.onceKey);
      case 'tellOperator':
        return this.#say(
          'operator_note',
          { kind: 'notice', notice: effect.notice },
          effect.onceKey,
        );
      case 'createPayment':
        return this.#openCharge(effect);
      case 'answerPress':
        return this.#hint(effect.hint);
      case 'revalidatePayment':
        return this.#hint('O pagamento ainda não apareceu.');
      case 'setTimer': {
        const { key, at, timer } = effect;
        this.#due.set(key, { at, due: { type: 'timer', key, timer } });
        return undefined;
      }
      case 'cancelTimers': {
        const keys = [...this.#due.keys()].filter((key) => key.startsWith(effect.prefix));
        for (const key of keys) this.#due.delete(key);
        return undefined;
      }
      case 'releaseKeptMessages':
      case 'eraseLead':
        return undefined;
    }
  }

  #say(from: 'bot' | 'operator_note', message: Message, onceKey?: string): void {
    if (onceKey !== undefined && this.#said.has(onceKey)) return;
    if (onceKey !== undefined) this.#said.add(onceKey);
    const parts = renderMessage(message);
    this.lines.push(...parts.map((part) => ({ at: this.#now, from, part })));
  }

  #hint(text: string | null): void {
    if (text !== null) this.lines.push({ at: this.#now, from: 'hint', text });
  }

  #openCharge({ checkoutId, productId }: Effect & { type: 'createPayment' }): void {
    const known = this.#payments.find((payment) => payment.checkoutId === checkoutId);
    if (known !== undefined) return;
    const product = this.#options.products.find(({ id }) => id === productId);
    if (product === undefined) throw new SimulationError(`There is no product "${productId}".`);
    const payment = this.#chargeFor(checkoutId, product);
    this.#payments.push(payment);
    this.#due.set(`expiry:${payment.paymentId}`, {
      at: payment.expiresAt,
      due: { type: 'expiry', payment },
    });
    this.#observe({ type: 'PaymentCreated', data: payment });
  }

  #chargeFor(checkoutId: string, product: SimulatedProduct): DataOf<'PaymentCreated'> {
    const { pixCodeOf = (id: string) => `00020126-simulated-${id}`, pixExpiryMinutes } =
      this.#options;
    const paymentId = this.#newId();
    return {
      paymentId,
      checkoutId,
      accountId: 'simulated',
      botId: 'simulated',
      poolId: null,
      trackingToken: null,
      leadId: this.#lead.leadId,
      telegramUserId: 1,
      productId: product.id,
      productName: product.name,
      amountCents: product.priceCents,
      currency: product.currency,
      gateway: 'simulated',
      gatewayChargeId: paymentId,
      pixCode: pixCodeOf(paymentId),
      checkoutNotice: null,
      createdAt: this.#now,
      expiresAt: later(this.#now, pixExpiryMinutes * 60_000),
    };
  }

  #newId(): string {
    this.#ids += 1;
    return idOf(this.#ids);
  }
}

const idOf = (number: number): string =>
  `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
