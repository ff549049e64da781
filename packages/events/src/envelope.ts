/** CloudEvents 1.0 in structured JSON, with the house's extensions. */
import Type, { type Static } from 'typebox';
import { eventDefinitions, type EventBody, type EventType } from './registry.ts';
import { Text, Timestamp, Uuid } from './scalars.ts';

export const WorkspaceId = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' });

/** The attributes around `data`; extension names are lower-case as CloudEvents asks. */
export const EnvelopeAttributes = Type.Object({
  specversion: Type.Literal('1.0'),
  /** UUIDv7; also `Nats-Msg-Id`. */
  id: Uuid,
  /** The service that says it. */
  source: Text(64),
  type: Text(64),
  /** Tracking token where known, else the aggregate's id. */
  subject: Text(64),
  time: Timestamp,
  /** `<Type>/<version>`. */
  dataschema: Type.String({ pattern: '^[A-Za-z]+/[0-9]+$' }),
  workspaceid: WorkspaceId,
  /** Tracking token where known, else the aggregate's id: joins all events of one journey. */
  correlationid: Text(64),
  /** Id of the event or request that led to this one. */
  causationid: Type.Optional(Text(128)),
  /** W3C trace context. */
  traceparent: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' }),
  ),
});

type Attributes = Static<typeof EnvelopeAttributes>;

/** An event as it is stored and travels. */
export type RastroEvent<T extends EventType = EventType> = Omit<Attributes, 'type'> & EventBody<T>;

/** What only an edge knows: ids and time are passed in, so that cores stay pure. */
export interface Circumstances {
  readonly id: string;
  /** ISO 8601 UTC with ms. */
  readonly time: string;
  readonly source: string;
  readonly workspaceId: string;
  /** Aggregate id; used as subject and correlation id where no tracking token is known. */
  readonly aggregateId: string;
  readonly causationId?: string | undefined;
  readonly traceparent?: string | undefined;
}

/** Puts the envelope around what a core has decided. */
export function envelop<T extends EventType>(
  body: EventBody<T>,
  circumstances: Circumstances,
): RastroEvent<T> {
  const { id, time, source, workspaceId, aggregateId, causationId, traceparent } = circumstances;
  const key = trackingTokenOf(body) ?? aggregateId;
  return {
    specversion: '1.0',
    id,
    source,
    type: body.type,
    subject: key,
    time,
    dataschema: `${body.type}/${eventDefinitions[body.type].version}`,
    workspaceid: workspaceId,
    correlationid: key,
    ...(causationId === undefined ? {} : { causationid: causationId }),
    ...(traceparent === undefined ? {} : { traceparent }),
    data: body.data,
  } as RastroEvent<T>;
}

/** The journey that an event belongs to, or null for an organic customer, a bot or a pixel. */
export function trackingTokenOf(body: { readonly data: object }): string | null {
  const { trackingToken } = body.data as { trackingToken?: string | null };
  return trackingToken ?? null;
}
