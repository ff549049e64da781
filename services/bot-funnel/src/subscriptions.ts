/** What bot-funnel listens to, and who handles it. */
import { funnelStart, funnelStep, type RastroEvent } from '@rastro/events';
import {
  type Nats,
  serveRequests,
  subscribe,
  subscribeBatch,
  subscribeRawBatch,
  type Subscription,
} from '@rastro/messaging';
import { eventFilter } from '@rastro/events';
import { handleCommerce, type HandlersOptions } from './handlers.ts';
import type { FunnelRequests } from './requests.ts';
import { parseIncoming } from './update-schema.ts';
import { handleUpdates, updateId, type UpdatesOptions } from './updates.ts';

export interface SubscriptionsOptions {
  readonly saveClicks: (events: RastroEvent<'ClickTracked'>[]) => Promise<void>;
  readonly commerce: HandlersOptions;
  readonly updates: UpdatesOptions;
}

const service = 'bot-funnel';

/**
 * A batch is one transaction. Small ones that wait a little for company spare Postgres commits and
 * leave the thread free for webhooks; nobody notices 40 ms in a chat.
 */
const maxBatch = 16;
const lingerMs = 40;

export function subscribeAll(nats: Nats, options: SubscriptionsOptions): Promise<Subscription[]> {
  const { saveClicks, commerce, updates } = options;
  return Promise.all([
    subscribeBatch(nats, {
      service,
      purpose: 'clicks',
      stream: 'TRAFFIC',
      filterSubjects: [eventFilter('ClickTracked')],
      maxBatch,
      lingerMs,
      handle: (events) => saveClicks(events as RastroEvent<'ClickTracked'>[]),
    }),
    subscribe(nats, {
      service,
      purpose: 'commerce',
      stream: 'COMMERCE',
      types: [
        'PaymentCreated',
        'PaymentPaid',
        'PaymentExpired',
        'PaymentRefused',
        'PaymentRefunded',
        'PaymentDisputed',
        'PaymentChargedBack',
        'DeliveryIssued',
      ],
      handle: (event) => handleCommerce(commerce, event),
    }),
    subscribeRawBatch(nats, {
      service,
      purpose: 'updates',
      stream: 'UPDATES',
      filterSubjects: ['telegram.>'],
      maxBatch,
      lingerMs,
      parse: parseIncoming,
      idOf: updateId,
      handle: (batch) => handleUpdates(updates, batch),
    }),
  ]);
}

/** What programs ask that run a bot of their own. */
export function serveAll(nats: Nats, requests: FunnelRequests): Promise<Subscription[]> {
  const { start, step } = requests;
  return Promise.all([
    serveRequests(nats, { definition: funnelStart, service, handle: start }),
    serveRequests(nats, { definition: funnelStep, service, handle: step }),
  ]);
}
