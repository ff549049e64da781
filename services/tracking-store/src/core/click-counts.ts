/**
 * Clicks by day, pool, bot and class. Sums, so the order of events means nothing; a repeated event
 * would count, so only events that the log did not have yet may be given here.
 */
import type { DataOf, RastroEvent } from '@rastro/events';
import { classOf } from './click-view.ts';

/** A row of `click_counts`, or what is to be added to one: names are columns. */
export interface ClickCount {
  readonly workspace_id: string;
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly pool_id: string;
  readonly bot_id: string;
  readonly traffic_class: DataOf<'ClickTracked'>['trafficClass'];
  readonly clicks: number;
}

/** One entry a row, in order of their keys. */
export function clickCountsOf(events: readonly RastroEvent[]): ClickCount[] {
  const counts = new Map<string, ClickCount>();
  for (const event of events) {
    if (event.type !== 'ClickTracked') continue;
    const one = oneClick(event.workspaceid, event.data);
    const key = keyOf(one);
    const clicks = one.clicks + (counts.get(key)?.clicks ?? 0);
    counts.set(key, { ...one, clicks });
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
}

function oneClick(workspaceId: string, click: DataOf<'ClickTracked'>): ClickCount {
  return {
    workspace_id: workspaceId,
    day: click.clickedAt.slice(0, 'YYYY-MM-DD'.length),
    pool_id: click.poolId,
    bot_id: click.botId,
    traffic_class: classOf(click).trafficClass,
    clicks: 1,
  };
}

/** None of the parts can hold a space, which sorts before all that they can hold. */
const keyOf = ({ workspace_id, day, pool_id, bot_id, traffic_class }: ClickCount): string =>
  [workspace_id, day, pool_id, bot_id, traffic_class].join(' ');
