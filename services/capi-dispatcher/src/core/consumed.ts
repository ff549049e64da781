/** What is listened to: clicks and browsers on the one side, money on the other. */
import type { RastroEvent } from '@rastro/events';

export const trafficTypes = ['ClickTracked', 'BrowserSignalsCaptured'] as const;
export const commerceTypes = ['FunnelStarted', 'PaymentPaid', 'DeliveryViewed'] as const;

export type Consumed = RastroEvent<(typeof trafficTypes)[number] | (typeof commerceTypes)[number]>;
