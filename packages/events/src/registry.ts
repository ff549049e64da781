/** Every event of the house, by type: the one list that types, validation and docs come from. */
import type { Static } from 'typebox';
import { BotHealthChanged } from './bot.ts';
import { ClickRefused, ClickTracked } from './click.ts';
import {
  ConversionAccepted,
  ConversionRejected,
  ConversionScheduled,
  ConversionUnconfirmed,
} from './conversion.ts';
import { DeliveryIssued, DeliveryViewed } from './delivery.ts';
import {
  CheckoutStarted,
  ContactBlocked,
  ErasureRequested,
  FunnelStarted,
  FunnelStepReached,
  MessageFailed,
  MessageSent,
} from './lead.ts';
import {
  PaymentChargedBack,
  PaymentCreated,
  PaymentDisputed,
  PaymentExpired,
  PaymentPaid,
  PaymentRefunded,
  PaymentRefused,
} from './payment.ts';
import { PixelParked, PixelResumed } from './pixel.ts';
import { BrowserSignalsCaptured } from './session.ts';

export const eventDefinitions = {
  ClickTracked,
  ClickRefused,
  BrowserSignalsCaptured,
  FunnelStarted,
  FunnelStepReached,
  CheckoutStarted,
  MessageSent,
  MessageFailed,
  ContactBlocked,
  ErasureRequested,
  PaymentCreated,
  PaymentPaid,
  PaymentExpired,
  PaymentRefused,
  PaymentRefunded,
  PaymentDisputed,
  PaymentChargedBack,
  DeliveryIssued,
  DeliveryViewed,
  ConversionScheduled,
  ConversionAccepted,
  ConversionRejected,
  ConversionUnconfirmed,
  PixelParked,
  PixelResumed,
  BotHealthChanged,
} as const;

export type EventType = keyof typeof eventDefinitions;

/** The payload of one event type. */
export type DataOf<T extends EventType> = Static<(typeof eventDefinitions)[T]['data']>;

/** What a core says has happened: type and payload, before an edge adds the envelope. */
export type EventBody<T extends EventType = EventType> = {
  [K in T]: { readonly type: K; readonly data: DataOf<K> };
}[T];

export const eventTypes = Object.keys(eventDefinitions) as EventType[];
