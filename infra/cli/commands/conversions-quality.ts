/** `rastro conversions quality`: how Meta judges the events, as capi-dispatcher last read it. */
import { setTimeout as delay } from 'node:timers/promises';
import { connectPostgres, type Sql } from '@rastro/runtime';
import type { Command } from 'commander';
import { connection } from '../connection.ts';
import { printJson, printRows, say, sayAside, sayLines } from '../output.ts';

/** @see Meta, "Dataset Quality API": the score that it recommends, and its goal for coverage. */
const recommendedScore = 6;
const usualGoal = 75;

export function addConversionsQuality(conversions: Command): void {
  conversions
    .command('quality')
    .description(
      'how Meta judges the events of each pixel; exits with 1 when PageView or Purchase is below 6.0 of match quality, or below the goal for coverage',
    )
    .option('--pixel <id>', 'of this pixel only')
    .option('--workspace <id>', 'of this workspace only')
    .option('--refresh', 'lets the dispatcher ask Meta now, and waits for it')
    .option('--json')
    .action(quality);
}

interface Options {
  readonly pixel?: string;
  readonly workspace?: string;
  readonly refresh?: boolean;
  readonly json?: boolean;
}

async function quality(options: Options): Promise<void> {
  const { refresh = false, json = false } = options;
  const url = connection().postgresUrl();
  const sql = connectPostgres({ url, schema: 'capi', service: 'rastro conversions' });
  try {
    if (refresh && !(await askAnew(sql, options))) process.exitCode = 1;
    const pixels = await readPixels(sql, options);
    if (pixels.some(({ events }) => events.some(({ isBelowGoal }) => isBelowGoal))) {
      process.exitCode = 1;
    }
    if (json) printJson(pixels);
    else print(pixels);
  } finally {
    await sql.end();
  }
}

/** As the dispatcher stored them; whatever Meta left out is null. */
interface StoredEvent {
  readonly eventName: string;
  readonly compositeScore: number | null;
  readonly matchKeys: readonly { readonly identifier: string; readonly percentage: number }[];
  readonly coverage: number | null;
  readonly coverageGoal: number | null;
  readonly dedupeKeys: readonly {
    readonly key: string;
    readonly browser: number | null;
    readonly server: number | null;
    readonly joined: number | null;
  }[];
  readonly uploadFrequency: string | null;
  readonly acr: number | null;
  readonly diagnostics: readonly {
    readonly name: string;
    readonly description: string | null;
    readonly solution: string | null;
    readonly percentage: number | null;
    readonly affected: number | null;
    readonly total: number | null;
  }[];
}

interface EventQuality extends StoredEvent {
  readonly isBelowGoal: boolean;
}

interface PixelState {
  readonly workspaceId: string;
  readonly pixelId: string;
  /** When Meta last told anything; null: never. */
  readonly readAt: Date | null;
  readonly askedAt: Date | null;
  readonly outcome: 'read' | 'refused' | 'throttled' | 'failed' | null;
  readonly reason: string | null;
  /** Null where nobody will ask: the catalog had no token yet. */
  readonly nextAt: Date | null;
}

type PixelQuality = PixelState & { readonly events: readonly EventQuality[] };

/** Also of pixels that were never asked about: they have a lane, or a turn. */
async function readPixels(
  sql: Sql,
  { pixel = null, workspace = null }: { pixel?: string | null; workspace?: string | null },
): Promise<PixelQuality[]> {
  const pixels = await sql<PixelState[]>`
    select workspace_id, pixel_id, read_at, asked_at, outcome, reason, next_at
    from pixels full join quality_reads using (workspace_id, pixel_id)
    where (${pixel}::text is null or pixel_id = ${pixel})
      and (${workspace}::text is null or workspace_id = ${workspace})
    order by workspace_id, pixel_id`;
  const events = await sql<(StoredEvent & Pick<PixelState, 'workspaceId' | 'pixelId'>)[]>`
    select q.workspace_id, q.pixel_id, event_name, composite_score, match_keys, coverage,
      coverage_goal, dedupe_keys, upload_frequency, acr, diagnostics
    from quality_reads r join dataset_quality q
      on q.workspace_id = r.workspace_id and q.pixel_id = r.pixel_id
        and q.day = (r.read_at at time zone 'utc')::date and q.read_at = r.read_at
    order by event_name`;
  const byPixel = Map.groupBy(events, keyOf);
  return pixels.map((state) => ({
    ...state,
    events: (byPixel.get(keyOf(state)) ?? []).map((event) => ({
      ...event,
      isBelowGoal: isBelowGoal(event),
    })),
  }));
}

const keyOf = ({ workspaceId, pixelId }: Pick<PixelState, 'workspaceId' | 'pixelId'>): string =>
  `${workspaceId} ${pixelId}`;

/** Only of events that are sent from here; a shop's other events are not ours to judge. */
function isBelowGoal({ eventName, compositeScore, coverage, coverageGoal }: StoredEvent): boolean {
  if (eventName !== 'PageView' && eventName !== 'Purchase') return false;
  const isScoreLow = compositeScore !== null && compositeScore < recommendedScore;
  return isScoreLow || (coverage !== null && coverage < (coverageGoal ?? usualGoal));
}

/** The dispatcher looks every minute. */
const refreshWithinMs = 90_000;

/** @returns whether all that may be asked about was asked about. */
async function askAnew(sql: Sql, { pixel = null, workspace = null }: RefreshFilter) {
  // Whoever was throttled waits as long as Meta said.
  const chosen = sql`
    (${pixel}::text is null or pixel_id = ${pixel})
      and (${workspace}::text is null or workspace_id = ${workspace})
      and (outcome is distinct from 'throttled' or next_at <= now())`;
  const [row] = await sql<{ since: string }[]>`select now()::text as since`;
  const since = row?.since ?? '';
  const { count } = await sql`update quality_reads set next_at = now() where ${chosen}`;
  if (count > 0) sayAside(`${count} to be asked about; a dispatcher looks every minute`);
  const endMs = performance.now() + refreshWithinMs;
  for (;;) {
    const waiting = await sql`
      select 1 from quality_reads
      where ${chosen} and (asked_at is null or asked_at < ${since}::timestamptz)`;
    if (waiting.length === 0) return true;
    if (performance.now() > endMs) {
      sayAside(`${waiting.length} were not asked about: is capi-dispatcher running?`);
      return false;
    }
    await delay(500);
  }
}

interface RefreshFilter {
  readonly pixel?: string | null;
  readonly workspace?: string | null;
}

function print(pixels: readonly PixelQuality[]): void {
  printRows(pixels.flatMap(rowsOf));
  for (const { pixelId, events } of pixels) {
    for (const event of events) printDetails(pixelId, event);
  }
  if (pixels.every(({ events }) => events.length === 0)) return;
  say('');
  say(`Meta recommends a match quality of ${recommendedScore.toFixed(1)} and more.`);
}

function rowsOf(pixel: PixelQuality) {
  const { workspaceId: workspace, pixelId, readAt, events } = pixel;
  const shared = { workspace, pixel: pixelId };
  const note = noteOf(pixel);
  const read = readAt === null ? 'never' : `${readAt.toISOString().slice(0, 16)}Z`;
  if (events.length === 0) {
    const nothing = {
      event: '',
      quality: '',
      coverage: '',
      deduplicated: '',
      freshness: '',
      acr: '',
    };
    // Meta needs a while before it has figures.
    return [{ ...shared, ...nothing, read, note: note || 'Meta has no figures yet' }];
  }
  return events.map((event) => {
    const byEventId = event.dedupeKeys.find(({ key }) => key === 'event_id');
    return {
      ...shared,
      event: event.eventName,
      quality: event.compositeScore === null ? '' : event.compositeScore.toFixed(1),
      coverage: coverageOf(event),
      deduplicated: percent(byEventId?.joined ?? null),
      freshness: event.uploadFrequency ?? '',
      acr: percent(event.acr),
      read,
      note: [event.isBelowGoal ? 'below goal' : '', note].filter(Boolean).join('; '),
    };
  });
}

function coverageOf({ coverage, coverageGoal }: StoredEvent): string {
  if (coverage === null) return '';
  return `${percent(coverage)} (goal ${percent(coverageGoal ?? usualGoal)})`;
}

const percent = (share: number | null): string => (share === null ? '' : `${share} %`);

/** Why there is nothing, or nothing newer. */
function noteOf({ outcome, reason, nextAt }: PixelState): string {
  const why = reason ?? 'for no known reason';
  switch (outcome) {
    case 'read':
      return '';
    case 'refused':
      return `this token may not read: ${why}`;
    case 'throttled':
      return `Meta wants fewer calls until ${nextAt?.toISOString() ?? 'later'}: ${why}`;
    case 'failed':
      return `Meta could not be asked: ${why}`;
    case null:
      return nextAt === null ? 'never asked: no access token in the catalog' : 'not asked yet';
  }
}

function printDetails(pixelId: string, event: StoredEvent): void {
  const keys = event.matchKeys.map((key) => `${key.identifier} ${percent(key.percentage)}`);
  const joins = event.dedupeKeys.map(
    ({ key, browser, server, joined }) =>
      `${key} (browser ${percent(browser) || '–'}, server ${percent(server) || '–'}, joined ${percent(joined) || '–'})`,
  );
  say('');
  sayLines([
    `${pixelId} ${event.eventName}`,
    ...(keys.length > 0 ? [`  keys: ${keys.join(', ')}`] : []),
    ...(joins.length > 0 ? [`  deduplication: ${joins.join(', ')}`] : []),
  ]);
  for (const { name, description, solution, percentage, affected, total } of event.diagnostics) {
    const share = `${percent(percentage) || 'some'}: ${affected ?? '?'} of ${total ?? '?'} events`;
    sayLines([
      `  ${name} (${share})`,
      ...(description === null ? [] : [`    ${description}`]),
      ...(solution === null ? [] : [`    Meta's solution: ${solution}`]),
    ]);
  }
}
