/** The Bot API's methods that need more than a line, each as Telegram checks and answers it. */
import { type LinkedType, linkedFile, linkedTypes, takeInputMedia, takePhoto } from './media.ts';
import type { TelegramStore } from './store.ts';
import { chatOf } from './store.ts';
import {
  flagOf,
  type FormattedText,
  formattedText,
  inlineKeyboardOf,
  integerOf,
  type Parameters,
  textOf,
} from './parameters.ts';
import { badRequest, BotApiError, type Conversation, type Message, type User } from './types.ts';

export interface BotContext {
  username: string;
  me: User;
  store: TelegramStore;
}

const maxTextLength = 4096;
const maxCaptionLength = 1024;

export function sendMessage(bot: BotContext, parameters: Parameters): Message {
  const conversation = openConversation(bot, parameters);
  const message = newMessage(bot, conversation, parameters);
  Object.assign(message, textFields(formattedText(parameters, 'text', 'entities')));
  return deliver(bot, conversation, message);
}

export async function sendPhoto(bot: BotContext, parameters: Parameters): Promise<Message> {
  const conversation = openConversation(bot, parameters);
  const caption = captionFields(formattedText(parameters, 'caption', 'caption_entities'));
  const size = await takePhoto(bot.store, parameters);
  const message = newMessage(bot, conversation, parameters);
  Object.assign(message, { photo: [size] }, caption);
  return deliver(bot, conversation, message);
}

/** sendVideo, sendAnimation, sendAudio, sendVoice and sendDocument, by address. */
export function sendLinked(bot: BotContext, parameters: Parameters, type: LinkedType): Message {
  const conversation = openConversation(bot, parameters);
  const caption = captionFields(formattedText(parameters, 'caption', 'caption_entities'));
  const file = linkedFile(type, textOf(parameters, type));
  const message = newMessage(bot, conversation, parameters);
  Object.assign(message, { [type]: file }, caption);
  return deliver(bot, conversation, message);
}

export function editMessageText(bot: BotContext, parameters: Parameters): Message {
  const { conversation, message } = ownMessage(bot, parameters, 'edit');
  if (message.text === undefined) throw badRequest('there is no text in the message to edit');
  const fields = textFields(formattedText(parameters, 'text', 'entities'));
  const { text: _text, entities: _entities, ...rest } = message;
  return saveEdited(bot, conversation, message, { ...rest, ...fields }, parameters);
}

export function editMessageCaption(bot: BotContext, parameters: Parameters): Message {
  const { conversation, message } = ownMessage(bot, parameters, 'edit');
  if (!hasMedia(message)) throw badRequest('there is no caption in the message to edit');
  const fields = captionFields(formattedText(parameters, 'caption', 'caption_entities'));
  const { caption: _caption, caption_entities: _entities, ...rest } = message;
  return saveEdited(bot, conversation, message, { ...rest, ...fields }, parameters);
}

/** Also adds a file to a text, whose words are then gone. */
export async function editMessageMedia(bot: BotContext, parameters: Parameters): Promise<Message> {
  ownMessage(bot, parameters, 'edit');
  const { file, caption } = await takeInputMedia(bot.store, parameters);
  const fields = captionFields(formattedText(caption, 'caption', 'caption_entities'));
  // Read again: while a picture was fetched somebody else may have changed or deleted it.
  const { conversation, message } = ownMessage(bot, parameters, 'edit');
  if (message.voice !== undefined) throw badRequest("message can't be edited");
  const rest = { ...message };
  for (const key of contentKeys) delete rest[key];
  return saveEdited(bot, conversation, message, { ...rest, ...file, ...fields }, parameters);
}

const contentKeys = [
  'text',
  'entities',
  'caption',
  'caption_entities',
  'photo',
  ...linkedTypes,
] as const;

const hasMedia = (message: Message): boolean =>
  message.photo !== undefined || linkedTypes.some((type) => message[type] !== undefined);

export function editMessageReplyMarkup(bot: BotContext, parameters: Parameters): Message {
  const { conversation, message } = ownMessage(bot, parameters, 'edit');
  return saveEdited(bot, conversation, message, { ...message }, parameters);
}

export function deleteMessage(bot: BotContext, parameters: Parameters): true {
  const { conversation, message } = ownMessage(bot, parameters, 'delete');
  bot.store.deleteMessage(bot.username, conversation.user.id, message.message_id);
  return true;
}

const queryLifetimeMs = 15 * 60_000;

export function answerCallbackQuery(bot: BotContext, parameters: Parameters): true {
  const queryId = textOf(parameters, 'callback_query_id') ?? '';
  const text = textOf(parameters, 'text') ?? '';
  if (text.length > 200) throw badRequest('MESSAGE_TOO_LONG');
  const query = bot.store.queries.close(bot.username, queryId);
  if (query === null || Date.now() - query.atMs > queryLifetimeMs) {
    throw badRequest('query is too old and response timeout expired or query ID is invalid');
  }
  const live = bot.store.live(bot.username, query.userId);
  const showAlert = flagOf(parameters, 'show_alert');
  const answer = { queryId, text, showAlert, url: textOf(parameters, 'url'), atMs: Date.now() };
  live.answers = [...live.answers.slice(-19), answer];
  return true;
}

const chatActions = [
  'typing',
  'upload_photo',
  'record_video',
  'upload_video',
  'record_voice',
  'upload_voice',
  'upload_document',
  'choose_sticker',
  'find_location',
  'record_video_note',
  'upload_video_note',
];

export function sendChatAction(bot: BotContext, parameters: Parameters): true {
  const { user } = openConversation(bot, parameters);
  const action = textOf(parameters, 'action') ?? '';
  if (!chatActions.includes(action)) throw badRequest('wrong parameter action in request');
  bot.store.live(bot.username, user.id).chatAction = { action, untilMs: Date.now() + 5000 };
  return true;
}

function openConversation(bot: BotContext, parameters: Parameters): Conversation {
  const chatId = textOf(parameters, 'chat_id');
  if (chatId === null || chatId === '') throw badRequest('chat_id is empty');
  const conversation = bot.store.conversation(bot.username, Number(chatId));
  if (conversation === undefined || !conversation.started) throw badRequest('chat not found');
  if (conversation.blocked) {
    throw new BotApiError(403, 'Forbidden: bot was blocked by the user');
  }
  return conversation;
}

function newMessage(bot: BotContext, conversation: Conversation, parameters: Parameters): Message {
  const keyboard = inlineKeyboardOf(parameters);
  return {
    message_id: 0,
    from: bot.me,
    chat: chatOf(conversation.user),
    date: Math.floor(Date.now() / 1000),
    ...(flagOf(parameters, 'protect_content') ? { has_protected_content: true as const } : {}),
    ...(keyboard === undefined ? {} : { reply_markup: keyboard }),
  };
}

/** Numbered only once nothing can refuse it any more. */
function deliver(bot: BotContext, conversation: Conversation, message: Message): Message {
  const sent = { ...message, message_id: bot.store.next(bot.username, 'message') };
  bot.store.saveMessage(bot.username, conversation.user.id, sent);
  bot.store.live(bot.username, conversation.user.id).chatAction = null;
  return sent;
}

function textFields({ text, entities }: FormattedText): Pick<Message, 'text' | 'entities'> {
  if (text === '') throw badRequest('message text is empty');
  if (text.length > maxTextLength) throw badRequest('message is too long');
  return { text, ...(entities.length === 0 ? {} : { entities }) };
}

function captionFields({ text, entities }: FormattedText): Partial<Message> {
  if (text.length > maxCaptionLength) throw badRequest('message caption is too long');
  if (text === '') return {};
  return { caption: text, ...(entities.length === 0 ? {} : { caption_entities: entities }) };
}

function ownMessage(bot: BotContext, parameters: Parameters, purpose: 'edit' | 'delete') {
  const conversation = openConversation(bot, parameters);
  const messageId = integerOf(parameters, 'message_id', 0);
  if (messageId <= 0) throw badRequest('message identifier is not specified');
  const message = bot.store.message(bot.username, conversation.user.id, messageId);
  if (message === undefined) throw badRequest(`message to ${purpose} not found`);
  if (purpose === 'edit' && !message.from.is_bot) throw badRequest("message can't be edited");
  return { conversation, message };
}

function saveEdited(
  bot: BotContext,
  conversation: Conversation,
  before: Message,
  changed: Message,
  parameters: Parameters,
): Message {
  // An edit without reply_markup takes the keyboard away, as Telegram does it.
  const { reply_markup: _keyboard, ...bare } = changed;
  const keyboard = inlineKeyboardOf(parameters);
  const next: Message = keyboard === undefined ? bare : { ...bare, reply_markup: keyboard };
  if (contentOf(before) === contentOf(next)) {
    throw badRequest(
      'message is not modified: specified new message content and reply markup are exactly ' +
        'the same as a current content and reply markup of the message',
    );
  }
  const edited = { ...next, edit_date: Math.floor(Date.now() / 1000) };
  bot.store.saveMessage(bot.username, conversation.user.id, edited);
  return edited;
}

function contentOf(message: Message): string {
  return JSON.stringify([...contentKeys.map((key) => message[key]), message.reply_markup]);
}
