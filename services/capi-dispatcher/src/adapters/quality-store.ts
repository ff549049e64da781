/** Whose turn it is to be read, what was read, and why nothing was. */
import type { Sql } from '@rastro/runtime';
import type { Reading } from '../core/dataset-quality.ts';
import type { Pixel } from './lane.ts';

export interface Readable extends Pixel {
  /** Fingerprint of the sealed tokens that the catalog has for it. */
  readonly askedWith: string;
}

/**
 * Claims by moving the next turn: whoever claimed and died is followed by another after `claimMs`.
 * A pixel that Meta wants to be left alone is left alone here, too.
 */
export async function claimReadings(
  sql: Sql,
  pixels: readonly Readable[],
  { limit, claimMs }: { limit: number; claimMs: number },
): Promise<Readable[]> {
  if (pixels.length === 0) return [];
  const known = sql`
    unnest(${pixels.map(({ workspaceId }) => workspaceId)}::text[],
      ${pixels.map(({ pixelId }) => pixelId)}::text[],
      ${pixels.map(({ askedWith }) => askedWith)}::text[])
      as known(workspace_id, pixel_id, asked_with)`;
  await sql`
    insert into quality_reads (workspace_id, pixel_id)
    select workspace_id, pixel_id from ${known}
    where not exists (select 1 from quality_reads r
      where r.workspace_id = known.workspace_id and r.pixel_id = known.pixel_id)
    on conflict do nothing`;
  return sql<Readable[]>`
    with due as (
      select r.workspace_id, r.pixel_id, known.asked_with
      from quality_reads r join ${known} using (workspace_id, pixel_id)
      where (r.next_at <= now()
          or (r.outcome = 'refused' and r.asked_with is distinct from known.asked_with))
        and not exists (select 1 from pixels p where p.workspace_id = r.workspace_id
          and p.pixel_id = r.pixel_id and p.paused_until > now())
      order by r.next_at limit ${limit} for update of r skip locked)
    update quality_reads r
    set next_at = now() + ${claimMs} * interval '1 millisecond', asked_with = due.asked_with
    from due where r.workspace_id = due.workspace_id and r.pixel_id = due.pixel_id
    returning r.workspace_id, r.pixel_id, r.asked_with`;
}

const keptDays = 90;

export async function recordReading(
  sql: Sql,
  { workspaceId, pixelId }: Pixel,
  { reading, nextMs }: { reading: Reading; nextMs: number },
): Promise<void> {
  const { kind, code, subcode, reason } = reading;
  await sql.begin(async (tx) => {
    await tx`
      update quality_reads set asked_at = now(), outcome = ${kind}, reason = ${reason || null},
        code = ${code}, subcode = ${subcode},
        next_at = now() + ${nextMs} * interval '1 millisecond',
        read_at = case when ${kind === 'read'} then now() else read_at end
      where workspace_id = ${workspaceId} and pixel_id = ${pixelId}`;
    if (reading.kind !== 'read') return;
    for (const event of reading.events) {
      await tx`
        insert into dataset_quality as known (workspace_id, pixel_id, day, event_name, read_at,
          composite_score, match_keys, coverage, coverage_goal, dedupe_keys, upload_frequency, acr,
          diagnostics)
        values (${workspaceId}, ${pixelId}, (now() at time zone 'utc')::date, ${event.eventName},
          now(), ${event.compositeScore}, ${tx.json(event.matchKeys as never)}, ${event.coverage},
          ${event.coverageGoal}, ${tx.json(event.dedupeKeys as never)}, ${event.uploadFrequency},
          ${event.acr}, ${tx.json(event.diagnostics as never)})
        on conflict (workspace_id, pixel_id, day, event_name) do update set
          read_at = excluded.read_at, composite_score = excluded.composite_score,
          match_keys = excluded.match_keys, coverage = excluded.coverage,
          coverage_goal = excluded.coverage_goal, dedupe_keys = excluded.dedupe_keys,
          upload_frequency = excluded.upload_frequency, acr = excluded.acr,
          diagnostics = excluded.diagnostics`;
    }
    await tx`
      delete from dataset_quality where workspace_id = ${workspaceId} and pixel_id = ${pixelId}
        and day < (now() at time zone 'utc')::date - ${keptDays}::int`;
  });
}
