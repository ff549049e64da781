/** Who pulls from which stream: a durable that nobody pulls from is a service that is away. */
import type { StreamName } from '@rastro/messaging';

export interface Durable {
  readonly service: string;
  readonly stream: StreamName;
  readonly name: string;
}

const of = (service: string, purposes: Readonly<Record<string, StreamName>>): Durable[] =>
  Object.entries(purposes).map(([purpose, stream]) => ({
    service,
    stream,
    name: `${service}__${purpose}`,
  }));

/** Of the services that have any; the others are asked in other ways. */
export const durables: readonly Durable[] = [
  ...of('tracking-store', { 'log-traffic': 'TRAFFIC', 'log-commerce': 'COMMERCE' }),
  ...of('bot-funnel', { clicks: 'TRAFFIC', commerce: 'COMMERCE', updates: 'UPDATES' }),
  ...of('delivery-web', { traffic: 'TRAFFIC', commerce: 'COMMERCE' }),
  ...of('capi-dispatcher', { traffic: 'TRAFFIC', commerce: 'COMMERCE' }),
];
