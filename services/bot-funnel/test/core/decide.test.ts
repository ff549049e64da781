/**
 * Goal: the process manager reacts as the funnel says and never opens two charges for one product.
 * Method: given/when/then on single decisions; random walks of presses and payment events, in any
 * order and repeated, against the invariants.
 */
import fc from 'fast-check';
import t from 'tap';
import type { DataOf } from '@rastro/events';
import { openCheckout, type PaymentFact } from '../../src/core/checkout.ts';
import type { Decision, LeadEvent } from '../../src/core/decision.ts';
import type { FunnelSnapshot, Press } from '../../src/core/funnel.ts';
import { decide, type LeadCommand } from '../../src/core/decide.ts';
import { type Click, clickOf, evolve, type Lead, newLead } from '../../src/core/lead.ts';

const id = (number: number): string =>
  `019aa0f0-0000-7000-8000-${String(number).padStart(12, '0')}`;
const at = (minute: number): string => `2026-11-20T12:${String(minute).padStart(2, '0')}:00.000Z`;
const token = '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c';

const funnel: FunnelSnapshot = {
  key: '7',
  funnelId: 'default',
  version: 3,
  steps: [
    { id: 'welcome', text: 'Olá', buttons: [{ label: 'Mais', goto: 'more' }] },
    {
      id: 'more',
      text: 'E-book',
      buttons: [
        { label: 'Comprar', buy: 'ebook' },
        { label: 'Curso', buy: 'course' },
        { label: 'Nada', goto: 'gone' },
      ],
    },
  ],
};

const identity = { leadId: id(1), botId: 'bot-a' };
const start = (minute: number, click: Click | null): LeadCommand => ({
  type: 'Start',
  at: at(minute),
  telegramUserId: 5,
  externalId: 'c'.repeat(64),
  languageCode: 'pt',
  isPremium: false,
  click,
  funnel,
});
const press = (minute: number, what: Press | null, checkout = id(100 + minute)): LeadCommand => ({
  type: 'PressButton',
  at: at(minute),
  press: what,
  funnel,
  newCheckoutId: checkout,
});
const button = (step: number, index: number): Press => ({
  type: 'step_button',
  snapshotKey: '7',
  step,
  button: index,
});

const buyer = {
  ...identity,
  accountId: 'pix',
  poolId: null,
  trackingToken: null,
  telegramUserId: 5,
  currency: 'BRL',
};
const payment = (checkoutId: string, productId = 'ebook') => ({
  ...buyer,
  paymentId: checkoutId.replace('7000', '7001'),
  checkoutId,
  productId,
  productName: 'E-book',
  amountCents: 1990,
});
const created = (checkoutId: string, expires = 50, productId = 'ebook'): PaymentFact => {
  const data: DataOf<'PaymentCreated'> = {
    ...payment(checkoutId, productId),
    gateway: 'x',
    gatewayChargeId: 'c',
    pixCode: `code-${checkoutId}`,
    checkoutNotice: null,
    createdAt: at(0),
    expiresAt: at(expires),
  };
  return { type: 'PaymentCreated', data };
};
const paid = (checkoutId: string, productId = 'ebook'): PaymentFact => ({
  type: 'PaymentPaid',
  data: {
    ...payment(checkoutId, productId),
    paidAt: at(9),
    confirmedAt: at(9),
    endToEndId: null,
    isLate: false,
    proof: 'requery',
  },
});
const expired = (checkoutId: string, productId = 'ebook'): PaymentFact => ({
  type: 'PaymentExpired',
  data: { ...payment(checkoutId, productId), expiredAt: at(50) },
});
const refused = (checkoutId: string, productId = 'ebook'): PaymentFact => ({
  type: 'PaymentRefused',
  data: { ...payment(checkoutId, productId), reason: 'no', refusedAt: at(9) },
});
const observe = (minute: number, fact: PaymentFact): LeadCommand => ({
  type: 'ObservePayment',
  at: at(minute),
  fact,
  accessStays: false,
  funnel,
});

/** One customer: remembers what was decided, as the service does. */
class Customer {
  lead: Lead = newLead(identity);
  readonly events: LeadEvent[] = [];

  does(command: LeadCommand): Decision {
    const { lead } = this;
    const decision = decide(lead, command);
    const fact = command.type === 'ObservePayment' ? [command.fact] : [];
    this.events.push(...decision.events);
    this.lead = [...fact, ...decision.events].reduce(evolve, lead);
    return decision;
  }
}

const typesOf = ({ events, effects }: Decision): string[] =>
  [...events, ...effects].map(({ type }) => type);
const messageOf = ({ effects }: Decision) =>
  effects.flatMap((effect) => (effect.type === 'sendMessage' ? [effect.message] : []))[0];

await t.test('START binds to the click, and an organic one takes nothing away', async (t) => {
  const customer = new Customer();
  const decision = customer.does(start(0, { trackingToken: token, poolId: 'promo' }));
  t.strictSame(typesOf(decision), ['FunnelStarted', 'FunnelStepReached', 'sendMessage']);
  t.match(decision.events[0]?.data, { trackingToken: token, origin: 'click', funnelVersion: 3 });
  const again = customer.does(start(1, null));
  t.match(again.events[0]?.data, { trackingToken: null, origin: 'organic' });
  const bought = customer.does(press(2, button(1, 0)));
  t.match(bought.events[0]?.data, { trackingToken: token, poolId: 'promo' });
  const other = 'd'.repeat(32);
  customer.does(start(3, { trackingToken: other, poolId: 'promo' }));
  t.equal(clickOf(customer.lead)?.trackingToken, other, 'the last touch wins');
});

await t.test('buttons lead on, and those of nowhere are answered', async (t) => {
  const customer = new Customer();
  customer.does(start(0, null));
  const walked = customer.does(press(1, button(0, 0)));
  t.strictSame(typesOf(walked), ['FunnelStepReached', 'sendMessage', 'answerPress']);
  t.match(messageOf(walked), { kind: 'step', step: 1, text: 'E-book' });
  for (const strange of [null, button(9, 9), button(1, 2)]) {
    t.strictSame(typesOf(customer.does(press(2, strange))), ['answerPress']);
  }
  const stranger: Press = { type: 'buy_again', checkoutId: id(999) };
  t.strictSame(typesOf(customer.does(press(2, stranger))), ['answerPress']);
  const wrote = customer.does({ type: 'Write', at: at(3), funnel });
  t.match(messageOf(wrote), { kind: 'step', step: 1 }, 'who writes is shown where he is');
});

await t.test('one checkout for a product while its PIX can be paid', async (t) => {
  const customer = new Customer();
  customer.does(start(0, null));
  const first = customer.does(press(1, button(1, 0), id(11)));
  t.strictSame(typesOf(first), ['CheckoutStarted', 'createPayment', 'answerPress']);
  const impatient = customer.does(press(2, button(1, 0), id(12)));
  t.strictSame(typesOf(impatient), ['createPayment', 'answerPress']);
  t.match(impatient.effects[0], { checkoutId: id(11) }, 'asked for the same charge');
  const shown = customer.does(observe(3, created(id(11))));
  t.match(messageOf(shown), { kind: 'pix', pix: { pixCode: `code-${id(11)}` } });
  t.same(typesOf(customer.does(observe(3, created(id(11))))), [], 'shown once');
  const again = customer.does(press(4, button(1, 0), id(13)));
  t.strictSame(typesOf(again), ['sendMessage', 'answerPress']);
  t.match(messageOf(again), { kind: 'pix', pix: { pixCode: `code-${id(11)}` } });
  const late = customer.does(press(51, button(1, 0), id(14)));
  t.match(late.events, [{ type: 'CheckoutStarted', data: { checkoutId: id(14) } }]);
});

await t.test('what payments say, and what is left unsaid', async (t) => {
  const customer = new Customer();
  customer.does(start(0, null));
  customer.does(press(1, button(1, 0), id(11)));
  t.same(typesOf(customer.does(observe(2, created(id(77))))), [], 'a stranger’s charge');
  customer.does(observe(2, created(id(11))));
  const question: Press = { type: 'already_paid', paymentId: payment(id(11)).paymentId };
  t.strictSame(typesOf(customer.does(press(3, question))), ['revalidatePayment']);
  t.match(messageOf(customer.does(observe(50, expired(id(11))))), { notice: { about: 'expired' } });
  const again: Press = { type: 'buy_again', checkoutId: id(11) };
  t.match(customer.does(press(51, again, id(12))).events[0]?.data, { productId: 'ebook' });
  customer.does(observe(52, created(id(12), 59)));
  const thanks = customer.does(observe(53, paid(id(11))));
  t.match(messageOf(thanks), { kind: 'paid' }, 'paid late is paid');
  t.same(typesOf(customer.does(observe(59, expired(id(12))))), [], 'nobody who paid is nagged');
  t.strictSame(typesOf(customer.does(press(59, question))), ['answerPress']);
  const link = 'https://x/delivery/1';
  const delivery = { paymentId: 'p', productName: 'E', link };
  const given = customer.does({ type: 'Deliver', delivery, funnel });
  t.match(given.effects, [
    { message: { kind: 'paid' }, onceKey: 'paid:p' },
    { message: { kind: 'delivery', link }, onceKey: 'delivery:p' },
  ]);
});

await t.test('a charge that is not opened, and a blocked bot', async (t) => {
  const customer = new Customer();
  customer.does(start(0, null));
  customer.does(press(1, button(1, 0), id(11)));
  const trouble = { type: 'ReportTrouble', checkoutId: id(11), round: 1 } as const;
  t.match(messageOf(customer.does({ ...trouble, isFinal: false })), {
    notice: { about: 'delayed' },
  });
  const final = customer.does({ ...trouble, isFinal: true });
  t.match(messageOf(final), { notice: { about: 'unavailable', checkoutId: id(11) } });
  customer.does(observe(2, created(id(11))));
  t.same(typesOf(customer.does({ ...trouble, isFinal: true })), [], 'it came after all');

  const blocked = { type: 'NoteContact', at: at(3), isBlocked: true } as const;
  t.strictSame(typesOf(customer.does(blocked)), ['ContactBlocked']);
  t.strictSame(typesOf(customer.does(blocked)), []);
  const back = customer.does(start(4, null));
  t.match(back.events[0], { type: 'ContactBlocked', data: { isBlocked: false } });
  t.match(back.effects[0], { type: 'releaseKeptMessages' });
});

type Step = { minute: number; act: number; product: 0 | 1; which: number };

/** Presses and payment events as chance has them, the facts about checkouts that exist. */
function commandFor(step: Step, customer: Customer, count: number): LeadCommand {
  const { minute, act, product, which } = step;
  const { checkouts } = customer.lead;
  const chosen = checkouts[which % Math.max(1, checkouts.length)];
  if (act === 0) return start(minute, which % 2 ? { trackingToken: token, poolId: 'promo' } : null);
  if (act < 5 || chosen === undefined) return press(minute, button(1, product), id(1000 + count));
  const { checkoutId, productId } = chosen;
  if (act === 5) return press(minute, { type: 'buy_again', checkoutId }, id(1000 + count));
  const facts = [created(checkoutId, (which % 50) + 5, productId), paid, expired, refused];
  const fact = facts[act % 4] as PaymentFact | typeof paid;
  return observe(minute, typeof fact === 'function' ? fact(checkoutId, productId) : fact);
}

await t.test('invariants hold whatever happens in whatever order', async (t) => {
  const step = fc.record({
    minute: fc.integer({ min: 0, max: 59 }),
    act: fc.integer({ min: 0, max: 9 }),
    product: fc.constantFrom<0 | 1>(0, 1),
    which: fc.nat(60),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const customer = new Customer();
    const charged = new Set<string>();
    const ordered = steps.toSorted((a, b) => a.minute - b.minute);
    for (const [count, one] of ordered.entries()) {
      const before = customer.lead;
      const command = commandFor(one, customer, count);
      const { events, effects } = customer.does(command);
      const now = at(one.minute);
      for (const event of events) {
        if (event.type !== 'CheckoutStarted') continue;
        const open = openCheckout(before, event.data.productId, now);
        if (open !== undefined) return false;
      }
      for (const effect of effects) {
        if (effect.type === 'createPayment') charged.add(effect.checkoutId);
        const isPix = effect.type === 'sendMessage' && effect.message.kind === 'pix';
        if (isPix && effect.message.pix.expiresAt <= now) return false;
      }
      const started = customer.events.filter(({ type }) => type === 'CheckoutStarted').length;
      if (charged.size !== started || customer.lead.checkouts.length !== started) return false;
      const lostMoney = before.checkouts.some(
        (was, index) => was.status === 'paid' && customer.lead.checkouts[index]?.status !== 'paid',
      );
      if (lostMoney) return false;
      const isPress = command.type === 'PressButton';
      const answers = effects.filter(({ type }) => type === 'answerPress').length;
      if (isPress && answers !== 1) return false;
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
});
