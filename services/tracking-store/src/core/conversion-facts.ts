/** How far one event for Meta has come. */
import type { DataOf } from '@rastro/events';
import { earliest, latest, type Merge, mergeFields, type Register } from './register.ts';

type Accepted = DataOf<'ConversionAccepted'>;

type Outcome =
  | { readonly status: 'scheduled'; readonly dueAt: string }
  | { readonly status: 'skipped'; readonly reason: string }
  | { readonly status: 'unconfirmed'; readonly reason: string }
  | {
      readonly status: 'rejected';
      readonly reason: string;
      readonly code: number | null;
      readonly subcode: number | null;
    };

export interface ConversionFacts {
  readonly about: Register<Pick<Accepted, 'eventName' | 'eventId' | 'pixelId' | 'paymentId'>>;
  readonly accepted: Register<
    Pick<Accepted, 'acceptedAt' | 'eventTime' | 'attempts' | 'fbtraceId'>
  >;
  /** The newest word of the ledger that is not Meta's yes. */
  readonly outcome: Register<Outcome>;
}

export const noConversionFacts: ConversionFacts = {
  about: undefined,
  accepted: undefined,
  outcome: undefined,
};

export const mergeConversionFacts: Merge<ConversionFacts> = mergeFields<ConversionFacts>({
  about: earliest,
  accepted: earliest,
  outcome: latest,
});

export type ConversionStatus = 'accepted' | Outcome['status'];

/** Meta's yes is final, however late other words of the ledger arrive. */
export function conversionStatus(facts: ConversionFacts): ConversionStatus {
  return facts.accepted ? 'accepted' : (facts.outcome?.value.status ?? 'scheduled');
}
