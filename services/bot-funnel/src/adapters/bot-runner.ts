/** What is done for one bot for as long as it is in the catalog. */
import type { Decoded } from '@rastro/events';
import type { Logger } from '@rastro/runtime';
import type { Incoming, TelegramUpdate } from '../core/incoming.ts';
import type { FleetBot } from './bot-fleet.ts';
import type { BotHealth } from './bot-health.ts';
import type { BotSecrets } from './bot-secrets.ts';
import { pollUpdates, registerWebhook } from './update-source.ts';

export interface RunnerOptions {
  readonly health: BotHealth;
  readonly secrets: BotSecrets;
  readonly log: Logger;
  readonly decode: (update: unknown) => Decoded<TelegramUpdate>;
  readonly store: (incoming: Incoming) => Promise<void>;
  /** Where Telegram reaches us; null to ask for updates instead. */
  readonly webhookOrigin: string | null;
}

export function createBotRunner(options: RunnerOptions) {
  const { health, secrets, log, decode, store, webhookOrigin } = options;

  async function receive(bot: FleetBot, signal: AbortSignal): Promise<void> {
    const api = secrets.apiOf(bot.botId);
    const webhook = secrets.findWebhook(bot.botId);
    if (api === undefined || webhook === undefined) return;
    const source = { bot, api, log, signal };
    if (webhookOrigin === null) return pollUpdates({ ...source, decode, store });
    const url = `${webhookOrigin}/telegram/${bot.botId}`;
    return registerWebhook({ ...source, url, secretToken: webhook.webhookSecret });
  }
  async function watch(bot: FleetBot, signal: AbortSignal): Promise<void> {
    const api = secrets.apiOf(bot.botId);
    if (api !== undefined) return health.watch(bot, api, signal);
    const reason = 'its token cannot be read with this RASTRO_MASTER_KEY';
    return health.report(bot, { health: 'unhealthy', reason });
  }
  return async (bot: FleetBot, signal: AbortSignal): Promise<void> => {
    const tasks = [receive(bot, signal), watch(bot, signal)].map((task) =>
      task.catch((error: unknown) =>
        log.error({ err: error, botId: bot.botId }, 'a bot is not served any more'),
      ),
    );
    await Promise.all(tasks);
  };
}
