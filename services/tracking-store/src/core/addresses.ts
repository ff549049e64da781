/** Which events hold a visitor's IP address, and what is left of it after its time. */
import { eventDefinitions, eventTypes, type EventType, type RastroEvent } from '@rastro/events';

/** Fields of `data` that hold an address: what the server saw, and what the browser saw itself. */
const addressFields = ['clientIp', 'fbi'] as const;

export const typesWithAddresses: readonly EventType[] = eventTypes.filter((type) =>
  addressFields.some((field) => field in eventDefinitions[type].data.properties),
);

/**
 * The event with its addresses truncated; the same object where there is nothing to truncate.
 * @param truncate null for what is no address: nobody knows what it tells.
 */
export function withTruncatedAddresses(
  event: RastroEvent,
  truncate: (address: string) => string | null,
): RastroEvent {
  const data = event.data as Readonly<Record<string, unknown>>;
  const changes = addressFields.flatMap((field) => {
    const address = data[field];
    if (typeof address !== 'string') return [];
    const truncated = truncate(address);
    return truncated === address ? [] : [[field, truncated] as const];
  });
  if (changes.length === 0) return event;
  return { ...event, data: { ...data, ...Object.fromEntries(changes) } } as RastroEvent;
}
