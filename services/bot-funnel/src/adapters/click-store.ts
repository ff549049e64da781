/** Ad clicks that a /start may name. */
import type { RastroEvent } from '@rastro/events';
import type { Queryable } from '@rastro/event-store';
import type { Click } from '../core/lead.ts';

export interface KnownClick {
  readonly trackingToken: string;
  readonly workspaceId: string;
  readonly poolId: string;
}

/** Null where it is unknown or another workspace's: such a START is an organic visit. */
export function ownClick(click: KnownClick | undefined, workspaceId: string): Click | null {
  if (click?.workspaceId !== workspaceId) return null;
  const { trackingToken, poolId } = click;
  return { trackingToken, poolId };
}

/** Remembers clicks so that a /start can be bound to them; the first word on a token stays. */
export async function saveClicks(
  sql: Queryable,
  events: readonly RastroEvent<'ClickTracked'>[],
): Promise<void> {
  const rows = events.map(({ workspaceid, data }) => ({
    tracking_token: data.trackingToken,
    workspace_id: workspaceid,
    pool_id: data.poolId,
    bot_id: data.botId,
    clicked_at: data.clickedAt,
  }));
  if (rows.length > 0) await sql`insert into clicks ${sql(rows)} on conflict do nothing`;
}

/** By tracking token. */
export async function findClicks(
  sql: Queryable,
  tokens: readonly string[],
): Promise<Map<string, KnownClick>> {
  if (tokens.length === 0) return new Map();
  const clicks = await sql<KnownClick[]>`
    select tracking_token, workspace_id, pool_id from clicks
    where tracking_token = any(${tokens as string[]})`;
  return new Map(clicks.map((click) => [click.trackingToken, click]));
}
