/** Which bots are known to be out of order; whoever is not mentioned counts as healthy. */
import type { DataOf } from '@rastro/events';

export type HealthReport = Pick<
  DataOf<'BotHealthChanged'>,
  'botId' | 'health' | 'changedAt' | 'sharePercent'
>;

/** The newest report of each bot, by bot id. */
export type BotHealth = ReadonlyMap<string, HealthReport>;

/** A report older than the one known changes nothing. */
export function evolveHealth(health: BotHealth, report: HealthReport): BotHealth {
  const { botId, changedAt, sharePercent } = report;
  const known = health.get(botId);
  if (known && known.changedAt > changedAt) return health;
  const share = sharePercent === undefined ? {} : { sharePercent };
  return new Map(health).set(botId, { botId, changedAt, health: report.health, ...share });
}

export function isHealthy(health: BotHealth, botId: string): boolean {
  return health.get(botId)?.health !== 'unhealthy';
}

/** How many of 100 new visitors a bot may get that has just recovered; all where nobody says. */
export function sharePercentOf(health: BotHealth, botId: string): number {
  return health.get(botId)?.sharePercent ?? 100;
}
