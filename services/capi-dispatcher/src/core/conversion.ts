/** One logical event for Meta, and what is said in public about its fate. */
import type { DataOf, EventBody } from '@rastro/events';
import type { SkippedReason } from './plan.ts';
import { storable } from './storable-text.ts';

export type EventName = 'PageView' | 'Purchase';

export type ConversionState =
  | 'waiting'
  | 'due'
  | 'sending'
  | 'accepted'
  | 'rejected'
  | 'unconfirmed'
  | 'parked'
  | 'expired'
  | 'dead'
  | 'skipped';

export interface Conversion {
  readonly id: string;
  readonly workspaceId: string;
  /** Empty where the pool has none; such a row is only ever skipped. */
  readonly pixelId: string;
  readonly poolId: string | null;
  readonly eventName: EventName;
  /** `evt_<tracking token>` or `purchase_<payment id>`: the same as the browser's copy. */
  readonly eventId: string;
  readonly trackingToken: string | null;
  readonly paymentId: string | null;
}

type ConversionEvent =
  | 'ConversionScheduled'
  | 'ConversionAccepted'
  | 'ConversionRejected'
  | 'ConversionUnconfirmed';

/** Null for what has no pixel or pool: nothing was to be told to Meta, so nothing is announced. */
export function scheduled(
  conversion: Conversion,
  plan: { readonly dueAt: string; readonly skippedReason: SkippedReason | null },
): EventBody<'ConversionScheduled'> | null {
  if (conversion.pixelId === '' || conversion.poolId === null) return null;
  return { type: 'ConversionScheduled', data: { ...identityOf(conversion), ...plan } };
}

export function accepted(
  conversion: Conversion,
  details: Details<'ConversionAccepted'>,
): EventBody<'ConversionAccepted'> {
  return { type: 'ConversionAccepted', data: { ...identityOf(conversion), ...details } };
}

export function rejected(
  conversion: Conversion,
  details: Details<'ConversionRejected'>,
): EventBody<'ConversionRejected'> {
  const reason = storable(details.reason, 1_024);
  return { type: 'ConversionRejected', data: { ...identityOf(conversion), ...details, reason } };
}

/** Why we give up an event by ourselves. */
const endings = {
  expired: 'older than 7 days: Meta would refuse it and all that is sent with it',
  dead: 'the outcome stayed unknown for 48 hours',
} as const;

export type Ending = keyof typeof endings;

export const reasonOf = (ending: Ending): string => endings[ending];

/** Meta has given no verdict, and will not be asked for one. */
export function givenUp(
  conversion: Conversion,
  ending: Ending,
  rejectedAt: string,
): EventBody<'ConversionRejected'> {
  const unanswered = { httpStatus: null, code: null, subcode: null };
  return rejected(conversion, { ...unanswered, reason: reasonOf(ending), rejectedAt });
}

/** Whether Meta refused it or we gave it up: of the latter no answer of Meta's is told. */
export function endOf({
  httpStatus,
  reason,
}: Pick<DataOf<'ConversionRejected'>, 'httpStatus' | 'reason'>): Ending | 'rejected' {
  if (httpStatus !== null) return 'rejected';
  if (reason === endings.dead) return 'dead';
  return reason === endings.expired ? 'expired' : 'rejected';
}

export function unconfirmed(
  conversion: Conversion,
  details: Details<'ConversionUnconfirmed'>,
): EventBody<'ConversionUnconfirmed'> {
  const reason = storable(details.reason, 256);
  return { type: 'ConversionUnconfirmed', data: { ...identityOf(conversion), ...details, reason } };
}

type Identity = ReturnType<typeof identityOf>;
type Details<T extends ConversionEvent> = Omit<EventBody<T>['data'], keyof Identity>;

function identityOf(conversion: Conversion) {
  const { id, pixelId, poolId, eventName, eventId, trackingToken, paymentId } = conversion;
  return {
    conversionId: id,
    poolId: poolId ?? '',
    pixelId,
    eventName,
    eventId,
    trackingToken,
    paymentId,
  };
}
