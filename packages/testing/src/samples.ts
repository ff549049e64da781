import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  decodeEvent,
  eventDefinitions,
  type DataOf,
  type EventType,
  type RastroEvent,
} from '@rastro/events';
import { newId } from '@rastro/runtime';

type EnvelopeOverrides = Partial<Omit<RastroEvent, 'type' | 'data'>>;

/**
 * A valid event made from its golden file, under a new id.
 * @throws when the overrides break the schema.
 */
export function sampleEvent<T extends EventType>(
  type: T,
  data: Partial<DataOf<T>> = {},
  envelope: EnvelopeOverrides = {},
): RastroEvent<T> {
  const file = `@rastro/events/golden/${type}.v${eventDefinitions[type].version}.json`;
  const golden = JSON.parse(
    readFileSync(fileURLToPath(import.meta.resolve(file)), 'utf8'),
  ) as RastroEvent<T>;
  const merged: Record<string, unknown> = { ...golden.data, ...data };
  const token = (merged['trackingToken'] as string | null | undefined) ?? golden.correlationid;
  const event = {
    ...golden,
    id: newId(),
    subject: token,
    correlationid: token,
    ...envelope,
    data: merged,
  };
  const decoded = decodeEvent(event);
  if (!decoded.ok) throw new Error(`sampleEvent(${type}): ${decoded.problem}`);
  return decoded.value as RastroEvent<T>;
}
