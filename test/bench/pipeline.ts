/** From the click to its committed row, while visitors come at a constant rate. */
import { eventually } from '@rastro/testing';
import { request } from 'undici';
import { answeredTokens, clickSteadily, latencies } from '../support/click-generator.ts';
import { type ClickPath, startClickPath } from '../support/click-path.ts';
import type { Figures } from './figures.ts';

const perSecond = 2_000;
const durationMs = 60_000;

export async function measurePipeline(): Promise<Figures> {
  await using path = await startClickPath({ environment: { NODE_ENV: 'production' } });
  const clicks = await clickSteadily({ origin: path.gateway.url, perSecond, durationMs });
  const tokens = answeredTokens(clicks);
  const stored = await eventually(() => storedClicks(path, tokens), { timeoutMs: 30_000 });
  const { p99 } = latencies(clicks);
  return {
    clicks: clicks.length,
    unanswered: clicks.length - tokens.length,
    lost: tokens.length - stored.tokens,
    twice: stored.rows - stored.tokens,
    'page p99 ms': p99,
    'lag p50 ms': stored.p50,
    'lag p99 ms': stored.p99,
    'lag max ms': stored.max,
    'committed within 1 s, %': (await sharesWithin(path.store.url, 1)) * 100,
  };
}

interface Stored {
  readonly rows: number;
  readonly tokens: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** `stored_at` is the begin of the transaction: see the histogram for the commit. */
async function storedClicks({ sql }: ClickPath, tokens: readonly string[]): Promise<Stored> {
  const [stored] = await sql<Stored[]>`
    select count(*) as rows, count(distinct tracking_token) as tokens,
      percentile_disc(0.5) within group (order by lag) as p50,
      percentile_disc(0.99) within group (order by lag) as p99, max(lag) as max
    from (
      select tracking_token, extract(epoch from stored_at - time)::float8 * 1000 as lag
      from event_log where type = 'ClickTracked' and tracking_token = any(${tokens as string[]})
    ) as clicks`;
  if (!stored || stored.tokens < tokens.length) throw new Error(`${stored?.tokens} are stored`);
  return stored;
}

/** Of all events, by tracking-store's own histogram, which looks at the clock after the commit. */
async function sharesWithin(storeUrl: string, seconds: number): Promise<number> {
  const { body } = await request(`${storeUrl}/metrics`);
  const text = await body.text();
  const valueOf = (label: string): number => {
    const line = new RegExp(
      `^rastro_event_store_lag_seconds_bucket\\{le="${label}".*\\} (\\d+)$`,
      'm',
    );
    return Number(line.exec(text)?.[1]);
  };
  return valueOf(String(seconds)) / valueOf('\\+Inf');
}
