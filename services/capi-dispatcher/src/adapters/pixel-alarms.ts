/** What an operator hears of a pixel: once when it stands still, and once when it goes on. */
import type { Logger, Sql } from '@rastro/runtime';
import type { Pixel } from './lane.ts';
import type { Complaint } from './pixels.ts';

const mending =
  "rastro doctor names what Meta refuses; a working token in the catalog (the pool's" +
  ' meta.accessToken) is tried at once, and the old one every hour';

/** After the commit that parked it. The line's code is what an alarm may listen for. */
export async function tellParked(
  { sql, log }: { readonly sql: Sql; readonly log: Logger },
  { workspaceId, pixelId }: Pixel,
  complaint: Pick<Complaint, 'code' | 'subcode' | 'reason'>,
): Promise<void> {
  const { code: metaCode, subcode: metaSubcode, reason } = complaint;
  // Worth less than the alarm itself, and than what else is to be done.
  const waiting = await countWaiting(sql, { workspaceId, pixelId }).catch(() => null);
  const about = { workspaceId, pixelId, metaCode, metaSubcode, reason, waiting, mending };
  log.error({ code: 'PIXEL_PARKED', ...about }, 'a pixel is parked: its events wait');
}

export function tellResumed(log: Logger, { workspaceId, pixelId }: Pixel): void {
  log.info({ code: 'PIXEL_RESUMED', workspaceId, pixelId }, 'a parked pixel sends again');
}

/** Enough to know how bad it is; more is not worth the counting. */
const countedAtMost = 10_000;

async function countWaiting(sql: Sql, { workspaceId, pixelId }: Pixel): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from (
      select 1 from conversions
      where workspace_id = ${workspaceId} and pixel_id = ${pixelId}
        and (state = 'parked' or state in ('waiting', 'due', 'unconfirmed'))
      limit ${countedAtMost}) waiting`;
  return row?.count ?? 0;
}
