/** What a customer does in a chat: write, press, start, block; each becomes an update. */
import { randomBytes } from 'node:crypto';
import type { MessageEntity } from './html.ts';
import { chatOf, type TelegramStore } from './store.ts';
import { badRequest, type Conversation, type Message, type User } from './types.ts';
import type { UpdateQueue } from './updates.ts';

export class Customers {
  readonly #store: TelegramStore;
  readonly #queue: UpdateQueue;
  readonly #botUser: (bot: string) => User;

  /** @param botUser how the bot itself appears in updates */
  constructor(store: TelegramStore, queue: UpdateQueue, botUser: (bot: string) => User) {
    this.#store = store;
    this.#queue = queue;
    this.#botUser = botUser;
  }

  /** A name or a language for a customer; what is not given stays. */
  introduce(bot: string, userId: number, names: Partial<User>): Conversation {
    const known = this.#conversationOf(bot, userId);
    const user = { ...known.user, ...names, id: userId, is_bot: false };
    const conversation = { ...known, user };
    this.#store.saveConversation(conversation);
    return conversation;
  }

  send(bot: string, userId: number, text: string): Message {
    if (text.trim() === '' || text.length > 4096) throw badRequest('a text has 1 to 4096 signs');
    return this.#say(bot, userId, text.trim());
  }

  /** `/start` with the deep link's payload; unblocks the bot, as pressing START does. */
  start(bot: string, userId: number, payload: string): Message {
    if (!/^[\w-]{0,64}$/.test(payload)) {
      throw badRequest('a deep link carries A-Z, a-z, 0-9, _ and - only, at most 64 signs');
    }
    return this.#say(bot, userId, payload === '' ? '/start' : `/start ${payload}`);
  }

  press(bot: string, userId: number, messageId: number, data: string): { queryId: string } {
    const message = this.#store.message(bot, userId, messageId);
    const buttons = message?.reply_markup?.inline_keyboard.flat() ?? [];
    if (message === undefined || !buttons.some((button) => button.callback_data === data)) {
      throw badRequest('this message has no such button');
    }
    const queryId = BigInt(`0x${randomBytes(7).toString('hex')}`).toString();
    this.#store.queries.open(bot, queryId, userId);
    this.#push(bot, userId, 'callback_query', {
      id: queryId,
      from: this.#conversationOf(bot, userId).user,
      message,
      chat_instance: String(userId),
      data,
    });
    return { queryId };
  }

  block(bot: string, userId: number): void {
    this.#setBlocked(this.#conversationOf(bot, userId), true);
  }

  unblock(bot: string, userId: number): void {
    this.#setBlocked(this.#conversationOf(bot, userId), false);
  }

  #conversationOf(bot: string, userId: number): Conversation {
    const first_name = `Cliente ${userId}`;
    const user = { id: userId, is_bot: false, first_name, language_code: 'pt-br' };
    return this.#store.conversation(bot, userId) ?? { bot, user, started: false, blocked: false };
  }

  #push(bot: string, userId: number, kind: string, content: unknown): void {
    const updateId = this.#store.next(bot, 'update');
    this.#queue.push(bot, userId, { update_id: updateId, [kind]: content });
  }

  #setBlocked(conversation: Conversation, blocked: boolean): void {
    if (conversation.blocked === blocked) return;
    this.#store.saveConversation({ ...conversation, blocked });
    const bot = this.#botUser(conversation.bot);
    const member = { user: bot, status: 'member' };
    const kicked = { user: bot, status: 'kicked', until_date: 0 };
    this.#push(conversation.bot, conversation.user.id, 'my_chat_member', {
      chat: chatOf(conversation.user),
      from: conversation.user,
      date: Math.floor(Date.now() / 1000),
      old_chat_member: blocked ? member : kicked,
      new_chat_member: blocked ? kicked : member,
    });
  }

  #say(bot: string, userId: number, text: string): Message {
    const conversation = this.#conversationOf(bot, userId);
    this.#setBlocked(conversation, false);
    this.#store.saveConversation({ ...conversation, started: true, blocked: false });
    const entities = commandEntities(text);
    const message: Message = {
      message_id: this.#store.next(bot, 'message'),
      from: conversation.user,
      chat: chatOf(conversation.user),
      date: Math.floor(Date.now() / 1000),
      text,
      ...(entities.length === 0 ? {} : { entities }),
    };
    this.#store.saveMessage(bot, userId, message);
    this.#push(bot, userId, 'message', message);
    return message;
  }
}

function commandEntities(text: string): MessageEntity[] {
  const command = /^\/\w{1,64}(?:@\w+)?/.exec(text)?.[0];
  return command === undefined ? [] : [{ type: 'bot_command', offset: 0, length: command.length }];
}
