/**
 * What the Dataset Quality API says of one pixel's events of the last 7 days, worked out from the
 * copies that were received. Where Meta's own rule is unknown a simple one stands in, and says so.
 * Pure.
 * @see Meta, "Dataset Quality API"
 */
import { type Diagnostic, diagnosticsOf } from './quality-diagnostics.ts';
import { type EventCopy, type EventGroup, unmarked } from './store.ts';

interface Share {
  percentage: number;
  description?: string;
}

export interface WebQuality {
  event_name: string;
  /** Absent where the server sent nothing. */
  event_match_quality?: {
    composite_score: number;
    match_key_feedback: { identifier: string; coverage: Share }[];
    diagnostics: Diagnostic[];
  };
  event_coverage?: Share & { goal_percentage: number };
  dedupe_key_feedback: {
    dedupe_key: string;
    browser_events_with_dedupe_key?: Share;
    server_events_with_dedupe_key?: Share;
    overall_browser_coverage_from_dedupe_key?: Share;
  }[];
  data_freshness?: { upload_frequency: string; description: string };
  acr?: Share;
}

const weekMs = 7 * 86_400_000;
const goalPercentage = 75;

/** @param agentName normalised `partner_agent`: only what that sender sent; null for everybody. */
export function webQuality(
  groups: readonly EventGroup[],
  { agentName, nowMs }: { agentName: string | null; nowMs: number },
): WebQuality[] {
  const isCounted = (copy: EventCopy): boolean =>
    nowMs - copy.receivedAtMs <= weekMs &&
    copy.actionSource === 'website' &&
    (copy.source === 'browser' || agentName === null || agentOf(copy) === agentName);
  const counted = groups.map((group) => ({
    ...group,
    browser: group.browser.filter(isCounted),
    server: group.server.filter(isCounted),
  }));
  const seen = counted.filter(({ browser, server }) => browser.length + server.length > 0);
  const byName = Map.groupBy(seen, ({ eventName }) => eventName);
  return [...byName].map(([name, ofName]) => qualityOf(name, ofName));
}

/** `Rastro_1_2` → `rastro`: the name without its version. */
function agentOf(copy: EventCopy): string {
  return (copy.partnerAgent ?? '').toLowerCase().replace(/[_-]\d.*$/, '');
}

function qualityOf(eventName: string, groups: readonly EventGroup[]): WebQuality {
  const browser = groups.flatMap((group) => group.browser);
  const server = groups.flatMap((group) => group.server);
  const covered = groups.filter((group) => group.eventId !== null && group.server.length > 0);
  const coveredInBrowser = covered.flatMap((group) => group.browser);
  const onlyByServer = groups.filter((group) => group.browser.length === 0);
  const quality: WebQuality = {
    event_name: eventName,
    dedupe_key_feedback: dedupeKeys.map((key) => feedbackOf(key, browser, server)),
  };
  if (server.length > 0) {
    quality.event_match_quality = matchQualityOf(groups, server);
    quality.data_freshness = freshnessOf(server);
  }
  if (browser.length > 0) {
    quality.event_coverage = {
      percentage: percent(coveredInBrowser.length, browser.length),
      goal_percentage: goalPercentage,
      description:
        "The percentage of the Pixel's events whose event_id also came through the Conversions API.",
    };
    quality.acr = {
      percentage: percent(onlyByServer.length, browser.length),
      description: 'Events that only the Conversions API reported, against those of the Pixel.',
    };
  }
  return quality;
}

function percent(part: number, whole: number): number {
  return Math.round((part / whole) * 1_000) / 10;
}

/** By the names that the API gives to the keys of `user_data`. */
const identifiers: Readonly<Record<string, string>> = {
  em: 'email',
  ph: 'phone',
  fn: 'first_name',
  ln: 'last_name',
  db: 'date_of_birth',
  ge: 'gender',
  ct: 'city',
  st: 'state',
  zp: 'zip_code',
  client_ip_address: 'ip_address',
  client_user_agent: 'user_agent',
};

/**
 * Ours, for Meta's rule is not public: the score is the sum of these points, each times the share
 * of events that carry the key. All keys make 10; what an ad click has by itself makes 6.2.
 */
const points: Readonly<Record<string, number>> = {
  fbc: 2,
  em: 1.5,
  client_ip_address: 1.5,
  external_id: 1.2,
  fbp: 1,
  ph: 1,
  client_user_agent: 0.5,
  fn: 0.4,
  ln: 0.4,
  ct: 0.1,
  st: 0.1,
  zp: 0.1,
  db: 0.1,
  country: 0.1,
};

function matchQualityOf(groups: readonly EventGroup[], server: readonly EventCopy[]) {
  const counts = new Map<string, number>();
  for (const key of server.flatMap(({ matchKeys }) => matchKeys)) {
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const shares = [...counts].map(([key, count]) => ({ key, share: count / server.length }));
  const score = shares.reduce((sum, { key, share }) => sum + (points[key] ?? 0) * share, 0);
  return {
    composite_score: Math.round(score * 10) / 10,
    match_key_feedback: shares.map(({ key, share }) => ({
      identifier: identifiers[key] ?? key,
      coverage: { percentage: percent(share, 1) },
    })),
    diagnostics: diagnosticsOf(groups, server),
  };
}

const dedupeKeys = ['event_id', 'fbp', 'external_id'] as const;
type DedupeKey = (typeof dedupeKeys)[number];

function valuesOf(copy: EventCopy, key: DedupeKey): unknown[] {
  if (key === 'event_id') return copy.eventId === null ? [] : [copy.eventId];
  const values = [copy.userData[key] ?? []].flat();
  return values.map(unmarked);
}

function feedbackOf(
  key: DedupeKey,
  browser: readonly EventCopy[],
  server: readonly EventCopy[],
): WebQuality['dedupe_key_feedback'][number] {
  const hasKey = (copy: EventCopy): boolean => valuesOf(copy, key).length > 0;
  const known = new Set(server.flatMap((copy) => valuesOf(copy, key)));
  const isMatched = (copy: EventCopy): boolean =>
    valuesOf(copy, key).some((value) => known.has(value));
  const shareOf = (copies: readonly EventCopy[], test: (copy: EventCopy) => boolean) =>
    copies.length === 0 ? null : { percentage: percent(copies.filter(test).length, copies.length) };
  const inBrowser = shareOf(browser, hasKey);
  const atServer = shareOf(server, hasKey);
  const matched = shareOf(browser, isMatched);
  return {
    dedupe_key: key,
    ...(inBrowser && { browser_events_with_dedupe_key: inBrowser }),
    ...(atServer && { server_events_with_dedupe_key: atServer }),
    ...(matched && { overall_browser_coverage_from_dedupe_key: matched }),
  };
}

/** By the mean time from event to receipt; Meta names classes and not their limits. */
function freshnessOf(server: readonly EventCopy[]) {
  const delays = server.map((copy) => copy.receivedAtMs / 1_000 - (copy.eventTime ?? 0));
  const meanSeconds = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
  const slower = meanSeconds <= 3_600 ? 'hourly' : 'daily';
  return {
    upload_frequency: meanSeconds <= 60 ? 'real_time' : slower,
    description: 'How soon after it happened an event arrives, on average.',
  };
}
