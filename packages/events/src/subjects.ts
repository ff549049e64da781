/** NATS subjects: names for what is said, never anything personal. */
import { eventDefinitions, type EventType } from './registry.ts';

/** `events.<workspaceId>.<aggregate>.<Type>` */
export function eventSubject(event: { type: EventType; workspaceid: string }): string {
  return `events.${event.workspaceid}.${eventDefinitions[event.type].aggregate}.${event.type}`;
}

/** One event type, of every workspace: what a durable consumer filters on. */
export function eventFilter(type: EventType): string {
  return `events.*.${eventDefinitions[type].aggregate}.${type}`;
}

/** `catalog.<workspaceId>.<kind>.<id>` */
export function catalogSubject(entry: { workspaceId: string; kind: string; id: string }): string {
  return `catalog.${entry.workspaceId}.${entry.kind}.${entry.id}`;
}

/** `dead.<service>.<Type>` */
export function deadLetterSubject(service: string, type: string): string {
  return `dead.${service}.${type.replaceAll(/[^A-Za-z0-9_-]/g, '_') || 'unknown'}`;
}

/** The stream that keeps events of a type: one per class of durability. */
export function eventStream(type: EventType): 'TRAFFIC' | 'COMMERCE' {
  const { aggregate } = eventDefinitions[type];
  return aggregate === 'click' || aggregate === 'session' ? 'TRAFFIC' : 'COMMERCE';
}
