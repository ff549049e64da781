/** Which rows of the ledger are meant: what an operator can say about them. */
import type { ConversionState, EventName } from './conversion.ts';

export const eventNames = ['PageView', 'Purchase'] as const satisfies readonly EventName[];

export const conversionStates = [
  'waiting',
  'due',
  'sending',
  'accepted',
  'rejected',
  'unconfirmed',
  'parked',
  'expired',
  'dead',
  'skipped',
] as const satisfies readonly ConversionState[];

/** Where nothing goes on unless a person does something. */
export const statesToLookAt: readonly ConversionState[] = ['rejected', 'parked', 'expired', 'dead'];

/** Every part narrows down; a part left out narrows nothing. */
export interface LedgerFilter {
  readonly workspace?: string | undefined;
  readonly pixel?: string | undefined;
  readonly pool?: string | undefined;
  readonly event?: EventName | undefined;
  readonly state?: readonly ConversionState[] | undefined;
  /** Of Meta's last answer. */
  readonly code?: number | undefined;
  readonly subcode?: number | undefined;
  /** Is or contains, in any case: `no_consent`, or words of Meta's. */
  readonly reason?: string | undefined;
  /** Code of a complaint that was foreseen, see core/lint. */
  readonly complaint?: string | undefined;
  /** When the ledger took the event up: from then on, and before then. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly token?: string | undefined;
  readonly payment?: string | undefined;
  readonly eventId?: string | undefined;
}

/** What an id that somebody has at hand can be; null where it is none of ours. */
export type LedgerKey =
  | { readonly kind: 'token'; readonly token: string }
  /** Of a conversion or of a payment. */
  | { readonly kind: 'uuid'; readonly id: string }
  | { readonly kind: 'event'; readonly eventId: string };

const uuid = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const trackingToken = '[0-9a-f]{32}';
const tokenPattern = new RegExp(`^${trackingToken}$`);
const uuidPattern = new RegExp(`^${uuid}$`);
const eventPattern = new RegExp(`^(evt_${trackingToken}|purchase_${uuid})$`);

export function keyOf(text: string): LedgerKey | null {
  if (tokenPattern.test(text)) return { kind: 'token', token: text };
  if (uuidPattern.test(text)) return { kind: 'uuid', id: text };
  return eventPattern.test(text) ? { kind: 'event', eventId: text } : null;
}
