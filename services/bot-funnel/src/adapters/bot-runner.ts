/** What is done for one bot for as long as it is in the catalog, and when it leaves. */
import type { Decoded } from '@rastro/events';
import type { Logger, Sql } from '@rastro/runtime';
import type { Api } from 'grammy';
import type { Incoming, TelegramUpdate } from '../core/incoming.ts';
import { type FleetBot, isRetired } from './bot-fleet.ts';
import type { BotHealth, BotSource } from './bot-health.ts';
import type { BotSecrets } from './bot-secrets.ts';
import { attempt } from './telegram.ts';
import { pollUpdates } from './update-source.ts';
import { forgetWebhook, leaveWebhook } from './webhook.ts';

export interface RunnerOptions {
  readonly sql: Sql;
  readonly health: BotHealth;
  readonly secrets: BotSecrets;
  readonly log: Logger;
  readonly decode: (update: unknown) => Decoded<TelegramUpdate>;
  readonly store: (incoming: Incoming) => Promise<void>;
  /** Where Telegram reaches us; null to ask for updates instead. */
  readonly webhookOrigin: string | null;
}

/** What a customer finds in the bot's menu. */
const commands = [
  { command: 'start', description: 'Começar' },
  { command: 'privacidade', description: 'O que guardamos e por quê' },
  { command: 'meusdados', description: 'Ver os meus dados' },
  { command: 'apagar', description: 'Apagar os meus dados' },
];

/** Nothing depends on it: the commands work whether the menu shows them or not. */
async function showCommands(api: Api): Promise<void> {
  await attempt(() => api.setMyCommands(commands));
}

export function createBotRunner(options: RunnerOptions) {
  const { sql, health, secrets, log, decode, store, webhookOrigin } = options;

  /** Kept for as long as the bot is: once it has left the catalog, its token is gone from there. */
  function sourceOf({ botId }: FleetBot): BotSource | null {
    const api = secrets.apiOf(botId);
    if (api === undefined) return null;
    if (webhookOrigin === null) return { api, webhook: null };
    const url = `${webhookOrigin}/telegram/${botId}`;
    return { api, webhook: { url, secretToken: secrets.webhookSecret(botId) } };
  }
  async function leave({ botId }: FleetBot, { api, webhook }: BotSource): Promise<void> {
    if (webhook !== null) await leaveWebhook({ sql, log, botId, api, webhook });
  }
  async function poll(bot: FleetBot, { api }: BotSource, signal: AbortSignal): Promise<void> {
    const onUnauthorized = (): void => health.suspect(bot.botId);
    // Only a warning hangs on it; customers do not wait for that.
    await forgetWebhook(sql, bot.botId).catch((error: unknown) =>
      log.warn({ err: error, botId: bot.botId }, 'a webhook could not be forgotten'),
    );
    return pollUpdates({ bot, api, log, signal, decode, store, onUnauthorized });
  }
  async function serve(bot: FleetBot, signal: AbortSignal): Promise<void> {
    const source = sourceOf(bot);
    if (source === null) {
      if (!bot.isEnabled) return;
      const reason = 'its token cannot be read with this RASTRO_MASTER_KEY';
      return health.report(bot, { type: 'SecretUnreadable', reason });
    }
    if (!bot.isEnabled) return leave(bot, source);
    const tasks = [health.watch(bot, source, signal), showCommands(source.api)];
    if (source.webhook === null) tasks.push(poll(bot, source, signal));
    await Promise.all(tasks);
    return isRetired(signal) ? leave(bot, source) : undefined;
  }
  return async (bot: FleetBot, signal: AbortSignal): Promise<void> =>
    serve(bot, signal).catch((error: unknown) =>
      log.error({ err: error, botId: bot.botId }, 'a bot is not served any more'),
    );
}
