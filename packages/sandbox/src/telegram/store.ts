/** Conversations, messages, pictures and numbers of the Telegram stand-in. */
import { randomInt } from 'node:crypto';
import type { Journal, Table } from '../journal.ts';
import { Flood } from './flood.ts';
import { OpenQueries } from './open-queries.ts';
import { readPhoto, type StoredPhoto } from './photo.ts';
import type { Conversation, Message, User } from './types.ts';

export interface CallbackAnswer {
  queryId: string;
  text: string;
  showAlert: boolean;
  url: string | null;
  atMs: number;
}

export interface BotCommand {
  command: string;
  description: string;
}

export interface TelegramStore {
  conversation(bot: string, userId: number): Conversation | undefined;
  conversations(bot?: string): Conversation[];
  saveConversation(conversation: Conversation): void;
  messages(bot: string, userId: number): Message[];
  message(bot: string, userId: number, messageId: number): Message | undefined;
  saveMessage(bot: string, userId: number, message: Message): void;
  deleteMessage(bot: string, userId: number, messageId: number): void;
  savePhoto(bytes: Buffer): StoredPhoto | null;
  photo(fileId: string): StoredPhoto | undefined;
  commands(bot: string): BotCommand[];
  saveCommands(bot: string, commands: BotCommand[]): void;
  /** The next number of a bot's message or update. */
  next(bot: string, what: 'message' | 'update'): number;
  /** What a person sees of a pressed button and of "typing…"; not kept across restarts. */
  live(bot: string, userId: number): LiveState;
  queries: OpenQueries;
  flood: Flood;
  reset(): void;
}

export interface LiveState {
  answers: CallbackAnswer[];
  chatAction: { action: string; untilMs: number } | null;
}

const maxMessages = 20_000;
const maxConversations = 20_000;
const maxPhotos = 500;
const maxOpenQueries = 20_000;

export function createTelegramStore(journal: Journal): TelegramStore {
  const conversations = journal.table<Conversation>('telegram.conversations', maxConversations);
  const messages = journal.table<Message>('telegram.messages', maxMessages);
  const photos = journal.table<StoredPhoto>('telegram.photos', maxPhotos);
  const commands = journal.table<BotCommand[]>('telegram.commands', 1000);
  const numbers = journal.table<number>('telegram.numbers', 10_000);
  let live = new Map<string, LiveState>();
  const indexOf = indexMessages(messages);
  const flood = new Flood();

  return {
    conversation: (bot, userId) => conversations.get(`${bot}/${userId}`),
    conversations: (bot) =>
      conversations.values().filter((one) => bot === undefined || one.bot === bot),
    saveConversation: (one) => conversations.put(`${one.bot}/${one.user.id}`, one),
    messages: (bot, userId) =>
      [...indexOf.chat(bot, userId)].flatMap((id) => messages.get(`${bot}/${userId}/${id}`) ?? []),
    message: (bot, userId, id) => messages.get(`${bot}/${userId}/${id}`),
    saveMessage(bot, userId, message) {
      indexOf.chat(bot, userId).add(message.message_id);
      messages.put(`${bot}/${userId}/${message.message_id}`, message);
    },
    deleteMessage(bot, userId, id) {
      indexOf.chat(bot, userId).delete(id);
      messages.delete(`${bot}/${userId}/${id}`);
    },
    savePhoto(bytes) {
      const photo = readPhoto(bytes);
      if (photo !== null) photos.put(photo.size.file_id, photo);
      return photo;
    },
    photo: (fileId) => photos.get(fileId),
    commands: (bot) => commands.get(bot) ?? [],
    saveCommands: (bot, list) => commands.put(bot, list),
    next(bot, what) {
      const key = `${bot}/${what}`;
      const first = what === 'update' ? randomInt(100_000_000, 900_000_000) : 1;
      const number = (numbers.get(key) ?? first - 1) + 1;
      numbers.put(key, number);
      return number;
    },
    live(bot, userId) {
      const key = `${bot}/${userId}`;
      const state = live.get(key) ?? { answers: [], chatAction: null };
      live.set(key, state);
      return state;
    },
    queries: new OpenQueries(maxOpenQueries),
    flood,
    reset() {
      // The numbers go on: a bot that lived through the reset must not see one twice.
      for (const table of [conversations, messages, photos, commands]) table.clear();
      live = new Map();
      indexOf.clear();
      flood.set({ perChatPerSecond: null, perBotPerSecond: null });
    },
  };
}

/** Message numbers of each conversation, so that reading one does not read all. */
function indexMessages(messages: Table<Message>) {
  const index = new Map<string, Set<number>>();
  const chat = (bot: string, userId: number): Set<number> => {
    const key = `${bot}/${userId}`;
    const found = index.get(key) ?? new Set<number>();
    index.set(key, found);
    return found;
  };
  const chatOfKey = (key: string): Set<number> => {
    const [bot = '', userId = ''] = key.split('/');
    return chat(bot, Number(userId));
  };
  for (const [key, message] of messages.entries()) chatOfKey(key).add(message.message_id);
  messages.onEvict((key, message) => chatOfKey(key).delete(message.message_id));
  return { chat, clear: () => index.clear() };
}

export function chatOf(user: User) {
  const { id, first_name, last_name, username } = user;
  return {
    id,
    type: 'private' as const,
    first_name,
    ...(last_name === undefined ? {} : { last_name }),
    ...(username === undefined ? {} : { username }),
  };
}
