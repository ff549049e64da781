/** What may be kept of a gateway's message for 90 days: all of it but the payer. */
import type { WebhookHint } from './gateway.ts';

/**
 * Keys, without case and separators, whose whole value speaks of a person: as Mercado Pago,
 * PushinPay, Woovi, AbacatePay and BACEN's Pix API name them.
 */
const personal = new RegExp(
  [
    '^(payer|payor|customer|pagador|infopagador|devedor|sender|debtor|buyer|client)',
    '^(debit|credit)party$|^holder$',
    '^(first|last|full|user|holder)?name$',
    '^(tax|personal)id$|^taxpayer|^(cpf|cnpj|document|identification|nationalregistration)',
    '^(email|phone|cellphone|mobile|address|ip|ipaddress|birth)',
  ].join('|'),
);

/** Written out, wherever they stand: CPF, CNPJ and e-mail addresses. */
const written = new RegExp(
  [
    String.raw`\d{3}\.\d{3}\.\d{3}-\d{2}`,
    String.raw`\d{2}\.\d{3}\.\d{3}\/\d{4}-\d{2}`,
    // As long as RFC 5321 lets the parts be: what is longer costs its square to search.
    String.raw`[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{1,255}`,
  ].join('|'),
  'g',
);

const maxTextLength = 1_024;
const maxDepth = 16;

/** Texts are cut at 1,024 characters: pictures of a code are of no use here. */
export const withoutPayer = (value: unknown): unknown => redacted(value, 0);

function redacted(value: unknown, depth: number): unknown {
  if (depth > maxDepth) return null;
  if (typeof value === 'string')
    return storable(value.slice(0, maxTextLength).replace(written, '…'));
  if (Array.isArray(value)) return value.map((item) => redacted(item, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !isPersonal(key));
  return Object.fromEntries(kept.map(([key, of]) => [storable(key), redacted(of, depth + 1)]));
}

/** Postgres refuses NUL and half a surrogate pair, which is also what a cut may leave. */
const storable = (text: string): string => text.replaceAll('\0', '').toWellFormed();

/** A hint as it may be stored, whatever its adapter let through. */
export function storableHint(hint: WebhookHint): WebhookHint {
  const cleaned = (value: string | null): string | null => value && storable(value);
  return {
    ...hint,
    webhookId: storable(hint.webhookId),
    type: storable(hint.type),
    chargeId: cleaned(hint.chargeId),
    reference: cleaned(hint.reference),
    currency: cleaned(hint.currency),
    record: withoutPayer(hint.record),
  };
}

const isPersonal = (key: string): boolean =>
  personal.test(key.toLowerCase().replaceAll(/[^a-z]/g, ''));
