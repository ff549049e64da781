/** What Mercado Pago takes for an order of a PIX, and its amounts and times. Pure. */
import type { ChargeOrder } from './charge.ts';

export interface Refusal {
  /** In `cause`; null where it gives none. */
  readonly code: number | null;
  readonly message: string;
}

const minuteMs = 60_000;
const minExpiryMs = 30 * minuteMs;
const maxExpiryMs = 30 * 24 * 60 * minuteMs;
const defaultExpiryMs = 24 * 60 * minuteMs;

/** Reads `POST /v1/payments`, or says the first thing that is wrong with it. */
export function readOrder(body: unknown, nowMs: number): { order: ChargeOrder } | Refusal {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { code: null, message: 'the body must be a Json Object' };
  }
  const fields = body as Readonly<Record<string, unknown>>;
  const amount = fields['transaction_amount'];
  if (amount === undefined) {
    return { code: 4002, message: "transaction_amount attribute can't be null" };
  }
  if (typeof amount !== 'number') {
    return { code: 4003, message: 'transaction_amount attribute must be numeric' };
  }
  const amountCents = centsOf(amount);
  if (amountCents === null || amountCents < 1) {
    return { code: 4037, message: 'Invalid transaction_amount' };
  }
  const expiryMs = expiryMsIn(fields['date_of_expiration'], nowMs);
  if (typeof expiryMs !== 'number') return expiryMs;
  const wrong = problemIn(fields);
  if (wrong !== null) return wrong;
  const textOf = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    order: {
      externalReference: textOf(fields['external_reference']),
      amountCents,
      description: textOf(fields['description']),
      expiresInSeconds: (expiryMs - nowMs) / 1_000,
      callbackUrl: textOf(fields['notification_url']),
    },
  };
}

function problemIn(fields: Readonly<Record<string, unknown>>): Refusal | null {
  if (fields['payment_method_id'] === undefined) {
    return { code: 4001, message: "payment_method_id attribute can't be null" };
  }
  if (fields['payment_method_id'] !== 'pix') {
    return { code: 2006, message: 'The sandbox plays pix only' };
  }
  const email = (fields['payer'] as { email?: unknown } | undefined)?.email;
  if (typeof email !== 'string' || !isEmail(email)) {
    return { code: 4050, message: 'payer.email must be a valid email' };
  }
  const reference = fields['external_reference'];
  if (typeof reference !== 'string' || !/^[\w-]{1,64}$/.test(reference)) {
    return { code: 4018, message: 'external_reference attribute is invalid' };
  }
  if (!isUrl(fields['notification_url'])) {
    return { code: 4020, message: 'notificaction_url attribute must be url valid' };
  }
  const description = fields['description'];
  const isFine = description === undefined || typeof description === 'string';
  return isFine ? null : { code: 4017, message: 'description attribute must be a string' };
}

/** Names of no public domain are refused, but not those of examples. */
const isEmail = (email: string): boolean =>
  /^[\w.+-]+@([\w-]+\.)+[a-z]{2,}$/i.test(email) &&
  !/\.(test|invalid|local|localhost|internal|lan)$/i.test(email);

/** The real one takes no `localhost`, where the sandbox and its tests live. */
function isUrl(url: unknown): boolean {
  if (typeof url !== 'string' || url.length > 248 || !URL.canParse(url)) return false;
  return /^https?:$/.test(new URL(url).protocol);
}

function expiryMsIn(date: unknown, nowMs: number): number | Refusal {
  if (date === undefined) return nowMs + defaultExpiryMs;
  const format = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$/;
  const ms = typeof date === 'string' && format.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(ms)) {
    const what = "must be valid date and format (yyyy-MM-dd'T'HH:mm:ssz)";
    return { code: 23, message: `The following parameters ${what} date_of_expiration` };
  }
  if (ms < nowMs + minExpiryMs || ms > nowMs + maxExpiryMs) {
    return { code: 23, message: 'date_of_expiration must be in 30 minutes to 30 days' };
  }
  return ms;
}

/** 19.9 → 1990; null for more than two decimals. */
export function centsOf(amount: unknown): number | null {
  const [, units, rest = ''] = /^(\d{1,12})(?:\.(\d{1,2}))?$/.exec(String(amount)) ?? [];
  return typeof amount !== 'number' || units === undefined
    ? null
    : Number(units + rest.padEnd(2, '0'));
}

/** 1990 → 19.9, as its JSON has it. */
export const numberOf = (cents: number): number =>
  Number(`${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`);

/** Whole seconds, four hours behind UTC, as Mercado Pago tells all times. */
export function isoOf(ms: number): string {
  const seconds = Math.round(ms / 1_000) - 4 * 3_600;
  return new Date(seconds * 1_000).toISOString().replace('Z', '-04:00');
}
