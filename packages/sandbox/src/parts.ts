import type { Faults } from './faults/rules.ts';
import type { GraphStore } from './graph/store.ts';
import type { Gateway } from './pix/gateway.ts';
import type { Webhooks } from './pix/webhooks.ts';
import type { Customers } from './telegram/customer.ts';
import type { TelegramStore } from './telegram/store.ts';
import type { UpdateQueue } from './telegram/updates.ts';
import type { WorldHolder } from './world.ts';

/** Everything the routes share. */
export interface Parts {
  world: WorldHolder;
  publicOrigin: string;
  faults: Faults;
  graph: GraphStore;
  gateway: Gateway;
  webhooks: Webhooks;
  telegram: TelegramStore;
  queue: UpdateQueue;
  customers: Customers;
}
