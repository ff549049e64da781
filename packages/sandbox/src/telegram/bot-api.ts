/** The table of methods: what a bot may call, and the settings of its updates. */
import {
  answerCallbackQuery,
  type BotContext,
  deleteMessage,
  editMessageCaption,
  editMessageMedia,
  editMessageReplyMarkup,
  editMessageText,
  sendChatAction,
  sendLinked,
  sendMessage,
  sendPhoto,
} from './bot-methods.ts';
import { flagOf, integerOf, objectOf, type Parameters, textOf } from './parameters.ts';
import { badRequest } from './types.ts';
import type { UpdateQueue } from './updates.ts';

export interface MethodResult {
  result: unknown;
  description?: string;
}

type Method = (
  bot: BotContext,
  parameters: Parameters,
  queue: UpdateQueue,
) => MethodResult | Promise<MethodResult>;

/** By name in lower case: Telegram does not mind the case of a method's name. */
export const methods: Record<string, Method> = {
  getme: (bot) => ({
    result: {
      ...bot.me,
      can_join_groups: true,
      can_read_all_group_messages: false,
      supports_inline_queries: false,
      can_connect_to_business: false,
      has_main_web_app: false,
    },
  }),
  sendmessage: (bot, parameters) => ({ result: sendMessage(bot, parameters) }),
  sendphoto: async (bot, parameters) => ({ result: await sendPhoto(bot, parameters) }),
  sendvideo: (bot, parameters) => ({ result: sendLinked(bot, parameters, 'video') }),
  sendanimation: (bot, parameters) => ({ result: sendLinked(bot, parameters, 'animation') }),
  sendaudio: (bot, parameters) => ({ result: sendLinked(bot, parameters, 'audio') }),
  sendvoice: (bot, parameters) => ({ result: sendLinked(bot, parameters, 'voice') }),
  senddocument: (bot, parameters) => ({ result: sendLinked(bot, parameters, 'document') }),
  editmessagetext: (bot, parameters) => ({ result: editMessageText(bot, parameters) }),
  editmessagecaption: (bot, parameters) => ({ result: editMessageCaption(bot, parameters) }),
  editmessagemedia: async (bot, parameters) => ({
    result: await editMessageMedia(bot, parameters),
  }),
  editmessagereplymarkup: (bot, parameters) => ({
    result: editMessageReplyMarkup(bot, parameters),
  }),
  deletemessage: (bot, parameters) => ({ result: deleteMessage(bot, parameters) }),
  answercallbackquery: (bot, parameters) => ({ result: answerCallbackQuery(bot, parameters) }),
  sendchataction: (bot, parameters) => ({ result: sendChatAction(bot, parameters) }),
  getmycommands: (bot) => ({ result: bot.store.commands(bot.username) }),
  setmycommands: (bot, parameters) => setMyCommands(bot, parameters),
  deletemycommands(bot) {
    bot.store.saveCommands(bot.username, []);
    return { result: true };
  },
  setwebhook: (bot, parameters, queue) => setWebhook(bot, parameters, queue),
  deletewebhook(bot, parameters, queue) {
    const hadOne = queue.webhook(bot.username) !== undefined;
    queue.deleteWebhook(bot.username, flagOf(parameters, 'drop_pending_updates'));
    const description = hadOne ? 'Webhook was deleted' : 'Webhook is already deleted';
    return { result: true, description };
  },
  getwebhookinfo: (bot, _parameters, queue) => ({ result: webhookInfo(bot, queue) }),
  async getupdates(bot, parameters, queue) {
    const allowed = objectOf(parameters, 'allowed_updates');
    const limit = integerOf(parameters, 'limit', 100);
    const updates = await queue.getUpdates(bot.username, {
      offset: integerOf(parameters, 'offset', 0),
      limit: Math.min(100, Math.max(1, limit)),
      timeoutSeconds: Math.min(50, Math.max(0, integerOf(parameters, 'timeout', 0))),
      ...(Array.isArray(allowed) ? { allowedUpdates: allowed.map(String) } : {}),
    });
    return { result: updates };
  },
};

function setMyCommands(bot: BotContext, parameters: Parameters): MethodResult {
  const list = objectOf(parameters, 'commands');
  if (!Array.isArray(list) || list.length > 100) throw badRequest('BOT_COMMANDS_INVALID');
  const commands = list.map((item: unknown) => {
    const { command, description } = (item ?? {}) as Record<string, unknown>;
    if (typeof command !== 'string' || !/^\/?[a-z0-9_]{1,32}$/.test(command)) {
      throw badRequest('BOT_COMMAND_INVALID');
    }
    const isDescribed =
      typeof description === 'string' && description.length >= 1 && description.length <= 256;
    if (!isDescribed) throw badRequest('BOT_COMMAND_DESCRIPTION_INVALID');
    return { command: command.replace(/^\//, ''), description };
  });
  bot.store.saveCommands(bot.username, commands);
  return { result: true };
}

function setWebhook(bot: BotContext, parameters: Parameters, queue: UpdateQueue): MethodResult {
  const url = textOf(parameters, 'url') ?? '';
  const dropPending = flagOf(parameters, 'drop_pending_updates');
  if (url === '') {
    queue.deleteWebhook(bot.username, dropPending);
    return { result: true, description: 'Webhook was deleted' };
  }
  // Telegram wants https; within the sandbox http to this machine must do.
  if (!URL.canParse(url) || !/^https?:/i.test(url)) {
    throw badRequest('bad webhook: invalid URL specified');
  }
  const secretToken = textOf(parameters, 'secret_token');
  if (secretToken !== null && secretToken.length > 256) {
    throw badRequest('secret token is too long');
  }
  if (secretToken !== null && !/^[\w-]*$/.test(secretToken)) {
    throw badRequest('secret token contains unallowed characters');
  }
  const maxConnections = integerOf(parameters, 'max_connections', 40);
  if (maxConnections < 1 || maxConnections > 100) {
    throw badRequest('bad webhook: max_connections must be between 1 and 100');
  }
  const before = queue.webhook(bot.username);
  const allowed = objectOf(parameters, 'allowed_updates');
  const settings = {
    url,
    secretToken: secretToken === '' ? null : secretToken,
    maxConnections,
    allowedUpdates: Array.isArray(allowed) ? allowed.map(String) : (before?.allowedUpdates ?? []),
    lastErrorDate: null,
    lastErrorMessage: null,
  };
  queue.setWebhook(bot.username, settings, dropPending);
  const isSame = before?.url === url && before.secretToken === settings.secretToken;
  return { result: true, description: isSame ? 'Webhook is already set' : 'Webhook was set' };
}

function webhookInfo(bot: BotContext, queue: UpdateQueue): Record<string, unknown> {
  const webhook = queue.webhook(bot.username);
  const pending = queue.pendingCount(bot.username);
  if (webhook === undefined) {
    return { url: '', has_custom_certificate: false, pending_update_count: pending };
  }
  const { url, maxConnections, allowedUpdates, lastErrorDate, lastErrorMessage } = webhook;
  return {
    url,
    has_custom_certificate: false,
    pending_update_count: pending,
    max_connections: maxConnections,
    ...(allowedUpdates.length === 0 ? {} : { allowed_updates: allowedUpdates }),
    ...(lastErrorDate === null ? {} : { last_error_date: lastErrorDate }),
    ...(lastErrorMessage === null ? {} : { last_error_message: lastErrorMessage }),
  };
}
