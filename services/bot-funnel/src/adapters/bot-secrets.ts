/** Tokens and webhook secrets of the bots in the catalog; neither ever reaches a log. */
import type { Catalog } from '@rastro/messaging';
import { deriveSecret, type Logger, openSecret, SealError } from '@rastro/runtime';
import type { Api } from 'grammy';
import type { Telegram } from './telegram.ts';

export interface BotSecrets {
  /** Client of a managed bot, also of one that is disabled: what was paid has to be delivered. */
  readonly apiOf: (botId: string) => Api | undefined;
  /** What a push from Telegram has to know; undefined for a bot that receives nothing here. */
  readonly findWebhook: (
    botId: string,
  ) => { workspaceId: string; webhookSecret: string } | undefined;
  /** What Telegram is to send with every push for the bot. */
  readonly webhookSecret: (botId: string) => string;
}

export function createBotSecrets(options: {
  catalog: Catalog;
  telegram: Telegram;
  masterKey: Buffer;
  log: Logger;
}): BotSecrets {
  const { catalog, telegram, masterKey, log } = options;
  const tokens = new Map<string, string>();
  /** Deriving one takes as long as the rest of a webhook's check. */
  const webhookSecrets = new Map<string, string>();

  function webhookSecret(botId: string): string {
    const known = webhookSecrets.get(botId);
    if (known !== undefined) return known;
    const secret = deriveSecret(masterKey, `telegram-webhook/${botId}`);
    webhookSecrets.set(botId, secret);
    return secret;
  }

  function tokenOf(botId: string, sealed: string): string | undefined {
    const known = tokens.get(sealed);
    if (known !== undefined) return known;
    try {
      const token = openSecret(masterKey, `bot/${botId}/token`, sealed);
      tokens.set(sealed, token);
      return token;
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      log.error({ botId, reason: error.message }, 'a bot cannot be used');
      return undefined;
    }
  }
  return {
    webhookSecret,
    apiOf(botId) {
      const item = catalog.get('bot', botId)?.item;
      const sealed = item?.runtime === 'managed' ? item.token : undefined;
      const token = sealed === undefined ? undefined : tokenOf(botId, sealed);
      return token === undefined ? undefined : telegram.api(token);
    },
    findWebhook(botId) {
      const bot = catalog.get('bot', botId);
      if (!bot?.item.enabled || bot.item.runtime !== 'managed') return undefined;
      return { workspaceId: bot.workspaceId, webhookSecret: webhookSecret(botId) };
    },
  };
}
