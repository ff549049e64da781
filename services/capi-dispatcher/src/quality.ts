/** Asks Meta, slowly and out of the way of sending, how it judges the events of each pixel. */
import type { Catalog } from '@rastro/messaging';
import { type Logger, sha256Hex, type Sql } from '@rastro/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import type { QualityApi } from './adapters/dataset-quality.ts';
import type { Pixel } from './adapters/lane.ts';
import { claimReadings, type Readable, recordReading } from './adapters/quality-store.ts';
import type { Tokens } from './adapters/tokens.ts';
import {
  nextReadingMs,
  type QualityPace,
  type Reading,
  readingOf,
} from './core/dataset-quality.ts';
import { nothingKnown } from './core/outcome.ts';
import { redactedReply } from './core/redaction.ts';

export interface QualityReaderOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly catalog: Catalog;
  readonly tokens: Tokens;
  readonly api: QualityApi;
  readonly pace: QualityPace;
}

/** Pixels asked about at the same time. */
const concurrency = 2;
/** Longer than asking with every token may take. */
const claimMs = 120_000;
const maxTokens = 4;

export function startQualityReader(options: QualityReaderOptions): AsyncDisposable {
  const { log, pace } = options;
  const stopping = new AbortController();
  const { signal } = stopping;

  async function run(): Promise<void> {
    for (;;) {
      // The wait comes first: what waits to be sent when a dispatcher starts goes first.
      await delay(pace.lookEveryMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await readDue(options, signal).catch((error: unknown) => {
        log.warn({ err: error }, 'dataset quality could not be written down; trying again');
      });
    }
  }
  const running = run();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function readDue(options: QualityReaderOptions, signal: AbortSignal): Promise<void> {
  const pixels = readablePixels(options.catalog);
  while (!signal.aborted) {
    const due = await claimReadings(options.sql, pixels, { limit: concurrency, claimMs });
    if (due.length === 0) return;
    await Promise.all(due.map((pixel) => readOne(options, pixel, signal)));
  }
}

/** Of every pool that tells Meta anything and has a token to ask with. */
function readablePixels(catalog: Catalog): Readable[] {
  const sealed = new Map<string, Pixel & { texts: string[] }>();
  for (const { workspaceId, item } of catalog.list('pool')) {
    const { pixelId, accessToken, enabled } = item.meta;
    if (!enabled || pixelId === null || accessToken === null) continue;
    const key = `${workspaceId} ${pixelId}`;
    const known = sealed.get(key) ?? { workspaceId, pixelId, texts: [] };
    known.texts.push(accessToken);
    sealed.set(key, known);
  }
  return [...sealed.values()].map(({ texts, ...pixel }) => ({
    ...pixel,
    askedWith: sha256Hex(texts.toSorted().join(' ')).slice(0, 16),
  }));
}

async function readOne(
  options: QualityReaderOptions,
  pixel: Pixel,
  signal: AbortSignal,
): Promise<void> {
  const { sql, log, pace } = options;
  const started = performance.now();
  const reading = await ask(options, pixel, signal);
  // An interrupted question says nothing; its turn comes again.
  if (signal.aborted) return;
  await recordReading(sql, pixel, { reading, nextMs: nextReadingMs(reading, pace) });
  const { kind, httpStatus, code, subcode, fbtraceId, reason } = reading;
  log[kind === 'failed' ? 'warn' : 'info'](
    {
      workspaceId: pixel.workspaceId,
      pixelId: pixel.pixelId,
      outcome: kind,
      events: reading.kind === 'read' ? reading.events.length : 0,
      httpStatus,
      code,
      subcode,
      fbtraceId,
      reason,
      durationMs: Math.round(performance.now() - started),
    },
    'dataset quality',
  );
}

/** With one token after the other, until one may read. */
async function ask(
  { api, tokens }: QualityReaderOptions,
  pixel: Pixel,
  signal: AbortSignal,
): Promise<Reading> {
  let reading: Reading = noToken;
  for (const { value } of tokens.candidates(pixel).slice(0, maxTokens)) {
    const { pixelId } = pixel;
    const reply = await api.read({ pixelId, token: value, signal });
    reading = readingOf(redactedReply(reply, { bodies: [], token: value }));
    if (reading.kind !== 'refused') return reading;
  }
  return reading;
}

const noToken: Reading = {
  ...nothingKnown,
  kind: 'refused',
  reason: 'no access token of this pixel can be opened',
};
