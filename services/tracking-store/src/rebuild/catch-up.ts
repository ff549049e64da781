/** What was stored while a rebuild was reading. */
import type { RastroEvent } from '@rastro/events';
import type { Queryable, Sql } from '@rastro/runtime';
import { lock } from '../adapters/locks.ts';
import { CountSums } from './count-sums.ts';
import { nextOf } from './next-tables.ts';
import type { CountProjection, JourneyProjection, Projection } from './projections.ts';
import { TableWriter } from './table-writer.ts';

/** Positions after the first one, up to the second. */
export interface Stretch {
  readonly after: number;
  readonly upTo: number;
  /** Of counts: first day that is counted; null for all. */
  readonly keptFrom: string | null;
}

/** Positions are given at once but commit in any order; this one has nothing open before it. */
export async function cutLog(sql: Sql): Promise<number> {
  return sql.begin(async (tx) => {
    await lock(tx, 'storing', 'alone');
    return lastPosition(tx);
  });
}

/** Of all positions ever given. Exact for whoever holds the lock `storing` alone. */
export async function lastPosition(sql: Queryable): Promise<number> {
  const [row] = await sql<{ position: number }[]>`
    select case when is_called then last_value else 0 end as position from event_log_position`;
  return row?.position ?? 0;
}

/** @returns how many journeys changed, or events were counted. */
export async function catchUp(sql: Sql, projection: Projection, stretch: Stretch): Promise<number> {
  if (stretch.after === stretch.upTo) return 0;
  return projection.kind === 'journeys'
    ? refoldJourneys(sql, projection, stretch)
    : addCounts(sql, projection, stretch);
}

const tokensAtOnce = 500;
const eventsAtOnce = 1_000;

async function refoldJourneys(
  sql: Sql,
  projection: JourneyProjection,
  { after, upTo }: Stretch,
): Promise<number> {
  const found = await sql<{ trackingToken: string }[]>`
    select distinct tracking_token from event_log
    where position > ${after} and position <= ${upTo} and tracking_token is not null`;
  const tokens = found.map(({ trackingToken }) => trackingToken);
  for (let i = 0; i < tokens.length; i += tokensAtOnce) {
    await refold(sql, projection, tokens.slice(i, i + tokensAtOnce), upTo);
  }
  return tokens.length;
}

/** Makes rows of whole journeys again, whatever of them was there. */
async function refold(
  sql: Sql,
  { tables, begin }: JourneyProjection,
  tokens: readonly string[],
  upTo: number,
): Promise<void> {
  const folds = new Map(tokens.map((token) => [token, begin()]));
  const events = sql<{ trackingToken: string; event: RastroEvent }[]>`
    select tracking_token, event from event_log
    where tracking_token = any(${tokens as string[]}) and position <= ${upTo}`;
  for await (const rows of events.cursor(eventsAtOnce)) {
    for (const { trackingToken, event } of rows) folds.get(trackingToken)?.add(event);
  }
  const rows = [...folds.values()].map((fold) => fold.rows());
  for (const table of tables) {
    await sql`delete from ${sql(nextOf(table))} where tracking_token = any(${tokens as string[]})`;
    const writer = new TableWriter(sql, nextOf(table));
    for (const row of rows.flatMap((byTable) => byTable[table] ?? [])) writer.add(row);
    await writer.end();
  }
}

async function addCounts(
  sql: Sql,
  projection: CountProjection,
  { after, upTo, keptFrom }: Stretch,
): Promise<number> {
  const sums = new CountSums(projection, keptFrom);
  let count = 0;
  const events = sql<{ event: RastroEvent }[]>`
    select event from event_log
    where position > ${after} and position <= ${upTo} and tracking_token is not null`;
  for await (const rows of events.cursor(eventsAtOnce)) {
    for (const { event } of rows) sums.add(event);
    count += rows.length;
  }
  await sums.write(sql);
  return count;
}
