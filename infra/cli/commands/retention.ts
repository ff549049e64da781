import { once } from 'node:events';
import { connectRedis, createLogger } from '@rastro/runtime';
import { createAnswerCache } from '@rastro/tracking-store/answer-cache';
import { readRetentionRules } from '@rastro/tracking-store/config';
import {
  planRetention,
  type RetentionPlan,
  type RetentionReport,
  runRetention,
} from '@rastro/tracking-store/retention';
import type { Command } from 'commander';
import { connection } from '../connection.ts';
import { printJson, say } from '../output.ts';

interface Options {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function addRetentionCommand(program: Command): void {
  program
    .command('retention')
    .description(
      'truncates old addresses and drops old months now, as tracking-store does daily (IP_RETENTION_DAYS, EVENT_RETENTION_MONTHS)',
    )
    .option('--dry-run', 'only says what would be done')
    .option('--json')
    .action(async ({ dryRun = false, json = false }: Options) => {
      const { config, postgresUrl, redisUrl } = connection();
      const rules = readRetentionRules(config.environment);
      const target = { url: postgresUrl(), schema: 'tracking', rules, now: new Date() };
      if (dryRun) {
        const plan = await planRetention(target);
        return json ? printJson(plan) : say(wordsOfPlan(plan));
      }
      await using copies = await cachedCopies(redisUrl);
      const report = await runRetention({ ...target, onChange: copies.drop });
      if (report.outcome !== 'done') process.exitCode = 1;
      return json ? printJson(report) : say(wordsOfReport(report));
    });
}

/** Where Redis cannot be reached copies stay for a while, but nobody is answered from them. */
async function cachedCopies(redisUrl: string | undefined) {
  if (redisUrl === undefined) return { drop: () => {}, [Symbol.asyncDispose]: async () => {} };
  const log = createLogger({ service: 'cli', level: 'error' });
  const redis = connectRedis({ url: redisUrl, service: 'rastro retention', log });
  const timeout = AbortSignal.timeout(2_000);
  await once(redis, 'ready', { signal: timeout }).catch(() => redis.disconnect());
  const cache = createAnswerCache(redis, log);
  return {
    drop: (tokens: readonly string[]) => cache.drop(tokens),
    // What was sent is answered before it ends.
    [Symbol.asyncDispose]: async () => {
      await redis.quit().catch(() => redis.disconnect());
    },
  };
}

function wordsOfPlan({ months, addresses }: RetentionPlan): string {
  const lines = months.map(({ month, events }) => `would drop ${month} with ${events} events`);
  if (addresses) {
    const { from, to, events } = addresses;
    lines.push(`would truncate the addresses in up to ${events} events from ${from} to ${to}`);
  }
  return lines.length === 0 ? 'Nothing is older than it is to be kept.' : lines.join('\n');
}

function wordsOfReport({ outcome, droppedMonths, truncatedEvents }: RetentionReport): string {
  if (outcome === 'busy') return 'Another run is at it.';
  const done = [
    ...droppedMonths.map((month) => `dropped ${month}`),
    `truncated the addresses in ${truncatedEvents} events`,
  ].join('\n');
  return outcome === 'done' ? done : `${done}\nA rebuild is running; run it again afterwards.`;
}
