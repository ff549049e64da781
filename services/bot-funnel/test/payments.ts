/** A payment-confirmer for tests: opens charges, and says what becomes of them. */
import {
  type CatalogItem,
  type DataOf,
  paymentsCreate,
  paymentsRevalidate,
  type RastroEvent,
  type ReplyOf,
  type RequestOf,
} from '@rastro/events';
import { type Nats, publishEvent, serveRequests } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { sampleEvent } from '@rastro/testing';

export interface Gateway {
  /** What was asked of `payments.create`, in order. */
  readonly asked: RequestOf<typeof paymentsCreate>[];
  /** Makes `payments.create` unavailable while true. */
  gatewayIsDown: boolean;
  readonly products: readonly CatalogItem<'product'>[];
  readonly pixExpiryMs: number;
}

/** The same checkout always gets the same charge, as payment-confirmer promises it. */
export async function answerPayments(nats: Nats, world: Gateway): Promise<AsyncDisposable> {
  const charges = new Map<string, ReplyOf<typeof paymentsCreate>>();
  const stack = new AsyncDisposableStack();
  stack.use(
    await serveRequests(nats, {
      definition: paymentsCreate,
      service: 'payment-confirmer',
      async handle(request) {
        world.asked.push(request);
        if (world.gatewayIsDown) {
          return { ok: false, error: { code: 'unavailable', message: 'the gateway is down' } };
        }
        const { checkoutId } = request;
        const known = charges.get(checkoutId);
        if (known) return { ok: true, value: known };
        const event = paymentCreated(request, world);
        const { paymentId, productId, amountCents, currency, pixCode, expiresAt } = event.data;
        const view = { paymentId, checkoutId, productId, amountCents, currency, pixCode };
        const reply = { ...view, status: 'pending', expiresAt } as const;
        charges.set(checkoutId, reply);
        await publishEvent(nats, event);
        return { ok: true, value: reply };
      },
    }),
  );
  stack.use(
    await serveRequests(nats, {
      definition: paymentsRevalidate,
      service: 'payment-confirmer',
      async handle({ paymentId }) {
        const found = [...charges.values()].find((charge) => charge.paymentId === paymentId);
        return found
          ? { ok: true, value: found }
          : { ok: false, error: { code: 'not_found', message: 'no such payment' } };
      },
    }),
  );
  return stack;
}

function paymentCreated(
  request: RequestOf<typeof paymentsCreate>,
  { products, pixExpiryMs }: Gateway,
): RastroEvent<'PaymentCreated'> {
  const { checkoutId, botId, poolId, trackingToken, leadId, telegramUserId, productId } = request;
  const of = { checkoutId, botId, poolId, trackingToken, leadId, telegramUserId, productId };
  const product = products.find(({ id }) => id === productId);
  if (product === undefined) throw new Error(`no product ${productId}`);
  const { name: productName, priceCents: amountCents } = product;
  const key = trackingToken ?? checkoutId;
  const paymentId = newId();
  const expiresAt = new Date(Date.now() + pixExpiryMs).toISOString();
  const pixCode = `00020126${paymentId}`;
  return sampleEvent(
    'PaymentCreated',
    { ...of, paymentId, pixCode, productName, amountCents, expiresAt },
    { subject: key, correlationid: key },
  );
}

/** What follows a payment: the fields that every payment event shares. */
export function paid(created: DataOf<'PaymentCreated'>): RastroEvent<'PaymentPaid'> {
  return sampleEvent('PaymentPaid', shared(created), envelopeOf(created));
}

export function delivered(
  created: DataOf<'PaymentCreated'>,
  deliveryToken: string,
): RastroEvent<'DeliveryIssued'> {
  const { paymentId, botId, poolId, trackingToken, leadId, telegramUserId } = created;
  const { productId, productName } = created;
  const of = { paymentId, botId, poolId, trackingToken, leadId, telegramUserId };
  const what = { productId, productName };
  const data = { ...of, ...what, deliveryId: newId(), deliveryToken };
  return sampleEvent('DeliveryIssued', data, envelopeOf(created));
}

export function shared(created: DataOf<'PaymentCreated'>) {
  const { paymentId, checkoutId, accountId, botId, poolId, trackingToken, leadId } = created;
  const { telegramUserId, productId, productName, amountCents, currency } = created;
  return {
    paymentId,
    checkoutId,
    accountId,
    botId,
    poolId,
    trackingToken,
    leadId,
    telegramUserId,
    productId,
    productName,
    amountCents,
    currency,
  };
}

export function envelopeOf(created: DataOf<'PaymentCreated'>) {
  const key = created.trackingToken ?? created.checkoutId;
  return { subject: key, correlationid: key };
}
