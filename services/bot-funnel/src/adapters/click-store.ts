import type { DataOf } from '@rastro/events';
import type { Queryable } from '@rastro/event-store';

export interface KnownClick {
  readonly trackingToken: string;
  readonly workspaceId: string;
  readonly poolId: string;
}

/** Remembers a click so that a /start can be bound to it; the first word on a token stays. */
export async function saveClick(
  sql: Queryable,
  workspaceId: string,
  click: DataOf<'ClickTracked'>,
): Promise<void> {
  const { trackingToken, poolId, botId, clickedAt } = click;
  await sql`
    insert into clicks (tracking_token, workspace_id, pool_id, bot_id, clicked_at)
    values (${trackingToken}, ${workspaceId}, ${poolId}, ${botId}, ${clickedAt})
    on conflict do nothing`;
}

export async function findClick(
  sql: Queryable,
  trackingToken: string,
): Promise<KnownClick | undefined> {
  const [click] = await sql<KnownClick[]>`
    select tracking_token, workspace_id, pool_id from clicks
    where tracking_token = ${trackingToken}`;
  return click;
}
