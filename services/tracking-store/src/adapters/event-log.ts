/** The log itself: batches in, journeys out. */
import { type RastroEvent, trackingTokenOf } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/runtime';

/** Stores what is new and returns it; an event that is there already changes nothing. */
export async function insertEvents(
  tx: Transaction,
  events: readonly RastroEvent[],
): Promise<RastroEvent[]> {
  // Sorted by id: two batches with the same events wait for each other instead of dead-locking.
  const byId = new Map(events.map((event) => [event.id, event]));
  const rows = [...byId.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((event) => ({
      event_id: event.id,
      time: event.time,
      workspace_id: event.workspaceid,
      type: event.type,
      tracking_token: trackingTokenOf(event),
      // As text inside of the rows: reading JSON out of JSON, Postgres would refuse \u0000 in it.
      event: JSON.stringify(event),
    }));
  const stored = await tx<{ eventId: string }[]>`
    insert into event_log (event_id, time, workspace_id, type, tracking_token, event)
    select event_id, time, workspace_id, type, tracking_token, event::json
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as row (
      event_id uuid, time timestamptz, workspace_id text, type text,
      tracking_token text, event text)
    on conflict do nothing
    returning event_id`;
  return stored.flatMap(({ eventId }) => byId.get(eventId) ?? []);
}

/** Bounds an answer; a customer who plays with the bot for months is cut at the newest end. */
const maxJourneyEvents = 1_000;

/** Every event of a journey in order of its time. */
export async function readJourney(
  sql: Queryable,
  of: { trackingToken: string; workspaceId: string },
): Promise<RastroEvent[]> {
  const rows = await sql<{ event: RastroEvent }[]>`
    select event from event_log
    where tracking_token = ${of.trackingToken} and workspace_id = ${of.workspaceId}
    order by time, event_id limit ${maxJourneyEvents}`;
  return rows.map(({ event }) => event);
}
