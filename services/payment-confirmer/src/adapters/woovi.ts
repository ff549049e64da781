/**
 * Woovi, also called OpenPix (https://developers.woovi.com). A charge is known by the
 * `correlationID` that we give it, our `payment.id`.
 *
 * Its signature says that Woovi sent a message, not about whose account: every seller there can
 * have signed messages sent to us. So nothing counts but what our own AppID is told.
 */
import { decoder } from '@rastro/events';
import Type, { type Static } from 'typebox';
import type { Dispatcher } from 'undici';
import type { Gateway, WebhookDelivery, WebhookHint, WebhookVerdict } from '../core/gateway.ts';
import { withoutPayer } from '../core/redaction.ts';
import { askGateway, told } from './gateway-http.ts';
import { Cents, Id, Maybe, ShortText } from './shapes.ts';
import { fingerprintOf, jsonIn } from './webhook-body.ts';
import { type Ask, chargeIdOf, createCharge, getCharge, refund } from './woovi-api.ts';
import { createSignatureCheck, type IsSigned } from './woovi-keys.ts';

const HintedCharge = Type.Object({ correlationID: Id, value: Maybe(Cents) });
const Message = Type.Object({
  event: Maybe(ShortText),
  /** Only in the message that tries out an address. */
  evento: Maybe(ShortText),
  charge: Maybe(HintedCharge),
  pix: Maybe(Type.Object({ value: Maybe(Cents), charge: Maybe(HintedCharge) })),
  dispute: Maybe(Type.Object({ endToEndId: Id })),
  originalTransaction: Maybe(Type.Object({ endToEndId: Id })),
});
const readMessage = decoder(Message);

export interface WooviAccount {
  /** Without a trailing slash. */
  readonly apiUrl: string;
  /** The AppID. */
  readonly accessToken: string;
}

export function createWooviGateway(account: WooviAccount, dispatcher: Dispatcher): Gateway {
  const url = (path: string) => `${account.apiUrl}/api/v1${path}`;
  const ask: Ask = ({ path, ...request }) =>
    askGateway(dispatcher, {
      ...request,
      url: url(path),
      // As it is: with a `Bearer` before it, it is refused.
      headers: { authorization: account.accessToken },
    });
  const isSigned = createSignatureCheck(async () =>
    told(
      await askGateway(dispatcher, {
        method: 'GET',
        url: url('/webhook/public-keys'),
        headers: {},
        timeoutMs: 5_000,
      }),
    ),
  );
  return {
    kind: 'woovi',
    silentOn: {},
    requeryIntervalMs: 0,
    checkoutNotice: null,
    createCharge: (order, timeoutMs) => createCharge(ask, order, timeoutMs),
    getCharge: (chargeId) => getCharge(ask, chargeId),
    chargeIdOf: (endToEndId) => chargeIdOf(ask, endToEndId),
    refund: (chargeId, amountCents) => refund(ask, chargeId, amountCents),
    verifyWebhook: (delivery) => verifyWebhook(isSigned, delivery),
  };
}

/** @throws {GatewayError} when Woovi's keys cannot be had, so that nobody can tell. */
async function verifyWebhook(
  isSigned: IsSigned,
  delivery: WebhookDelivery,
): Promise<WebhookVerdict> {
  const signature = delivery.headers['x-webhook-signature'];
  if (typeof signature !== 'string' || signature === '') {
    return { outcome: 'forged', problem: 'x-webhook-signature is missing or came twice' };
  }
  if (!(await isSigned(delivery.body, signature))) {
    return { outcome: 'forged', problem: 'the signature does not fit' };
  }
  return readWebhook(delivery);
}

/** What a proven delivery says; never throws. */
export function readWebhook({ body }: WebhookDelivery): WebhookVerdict {
  const json = jsonIn(body);
  if (!json.ok) return { outcome: 'malformed', problem: json.problem };
  const message = readMessage(json.value);
  if (!message.ok) return { outcome: 'malformed', problem: message.problem };
  const subject = subjectOf(message.value);
  if (subject === 'missing') {
    return { outcome: 'malformed', problem: 'it does not say which payment is disputed' };
  }
  const type = message.value.evento ?? message.value.event ?? 'without event';
  // Nothing in it numbers a message, and a charge may have the same news twice.
  const hint = { webhookId: fingerprintOf(body), type, currency: null, claim: null };
  return subject === null
    ? { outcome: 'verified', hint: { ...hint, ...nothing, record: { type } } }
    : { outcome: 'verified', hint: { ...hint, ...subject, record: withoutPayer(json.value) } };
}

type Subject = Omit<WebhookHint, 'webhookId' | 'type' | 'currency' | 'claim' | 'record'>;

const nothing: Subject = {
  isAboutCharge: false,
  chargeId: null,
  reference: null,
  amountCents: null,
};

/**
 * DISPUTE_CREATED, _ACCEPTED, _REJECTED, _CANCELED. How it stands is asked for: they come in any
 * order, and whoever has one of them can send it again.
 */
const disputed = /^DISPUTE_/;

/** Null where there is nothing to ask about. */
function subjectOf(message: Static<typeof Message>): Subject | 'missing' | null {
  // Sent when an address is registered, and under the name of an event that did not happen.
  if (message.evento === 'teste_webhook') return null;
  // Its documentation also writes `woovi:` before some names, and nothing before others.
  const name = (message.event ?? '').replace(/^[^:]*:/, '');
  if (disputed.test(name)) {
    const { endToEndId } = message.dispute ?? {};
    // What is disputed may be a part: its value is not the charge's.
    return endToEndId ? { ...nothing, ...about(endToEndId) } : 'missing';
  }
  if (name.startsWith('PIX_TRANSACTION_REFUND_SENT_')) {
    const { endToEndId } = message.originalTransaction ?? {};
    return endToEndId ? { ...nothing, ...about(endToEndId) } : null;
  }
  return name === 'CHARGE_CREATED' ? null : chargeIn(message, name);
}

const about = (chargeId: string) => ({ isAboutCharge: true, chargeId });

/** Of messages about a charge; their `pix` is what was paid, unless it is a refund. */
function chargeIn({ charge, pix }: Static<typeof Message>, name: string): Subject | null {
  const { correlationID, value } = charge ?? pix?.charge ?? {};
  if (correlationID === undefined) return null;
  const paidCents = name.includes('REFUND') ? null : (pix?.value ?? null);
  const amountCents = paidCents ?? value ?? null;
  return { ...nothing, ...about(correlationID), reference: correlationID, amountCents };
}
