/** `/control/telegram/*`: plays the customers, for tests, for load and for the chat page. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { WorldHolder } from '../world.ts';
import type { Customers } from './customer.ts';
import type { TelegramStore } from './store.ts';
import { BotApiError } from './types.ts';
import type { UpdateQueue } from './updates.ts';

interface ChatRoute {
  Params: { username: string; userId: string };
}
interface ActionRoute extends ChatRoute {
  Params: ChatRoute['Params'] & { action: string };
  Body: Record<string, unknown> | undefined;
}

export function registerTelegramControl(
  app: FastifyInstance,
  world: WorldHolder,
  store: TelegramStore,
  queue: UpdateQueue,
  customers: Customers,
): void {
  app.get('/control/telegram/bots', () =>
    world.current.bots.map(({ username, name }) => ({
      username,
      name: name ?? username,
      webhookUrl: queue.webhook(username)?.url ?? null,
      lastErrorMessage: queue.webhook(username)?.lastErrorMessage ?? null,
      pendingUpdates: queue.pendingCount(username),
      commands: store.commands(username),
    })),
  );
  registerLimits(app, store);
  app.get('/control/telegram/chats', () => store.conversations());

  app.get<ChatRoute>('/control/telegram/chats/:username/:userId', ({ params }) => {
    const userId = Number(params.userId);
    const conversation = store.conversation(params.username, userId);
    const live = store.live(params.username, userId);
    const isActing = live.chatAction !== null && live.chatAction.untilMs > Date.now();
    return {
      user: conversation?.user ?? null,
      started: conversation?.started ?? false,
      blocked: conversation?.blocked ?? false,
      chatAction: isActing ? (live.chatAction?.action ?? null) : null,
      callbackAnswers: live.answers,
      commands: store.commands(params.username),
      messages: store.messages(params.username, userId),
    };
  });
  app.get<ChatRoute>('/control/telegram/chats/:username/:userId/messages', ({ params }) =>
    store.messages(params.username, Number(params.userId)),
  );

  app.get<{ Params: { fileId: string } }>('/telegram/file/:fileId', ({ params }, reply) => {
    const photo = store.photo(params.fileId);
    if (photo === undefined) return reply.code(404).send({ error: 'No such file.' });
    return reply
      .type(photo.contentType)
      .header('cache-control', 'private, max-age=86400, immutable')
      .send(Buffer.from(photo.base64, 'base64'));
  });

  app.post<ActionRoute>(
    '/control/telegram/chats/:username/:userId/:action',
    ({ params, body }, reply) => {
      const { username, action } = params;
      const userId = Number(params.userId);
      if (!world.current.bots.some((bot) => bot.username === username)) {
        return reply.code(404).send({ error: `No bot is called ${username}.` });
      }
      if (!Number.isSafeInteger(userId) || userId < 1) {
        return reply.code(400).send({ error: 'A Telegram user id is a positive integer.' });
      }
      return act(customers, username, userId, action, body ?? {}, reply);
    },
  );
}

/** The strict flood limit: read with what broke it, set, or taken away with nulls. */
function registerLimits(app: FastifyInstance, store: TelegramStore): void {
  app.get('/control/telegram/limits', () => store.flood.state());
  app.post<{ Body: Record<string, unknown> | undefined }>(
    '/control/telegram/limits',
    ({ body }, reply) => {
      const read = (key: string): number | null => {
        const value = body?.[key] ?? null;
        if (value === null) return null;
        return typeof value === 'number' && value >= 1 ? value : Number.NaN;
      };
      const perChatPerSecond = read('perChatPerSecond');
      const perBotPerSecond = read('perBotPerSecond');
      if (Number.isNaN(perChatPerSecond) || Number.isNaN(perBotPerSecond)) {
        return reply.code(400).send({ error: 'A limit is a number of at least 1, or null.' });
      }
      store.flood.set({ perChatPerSecond, perBotPerSecond });
      return reply.send(store.flood.state());
    },
  );
}

function act(
  customers: Customers,
  bot: string,
  userId: number,
  action: string,
  body: Record<string, unknown>,
  reply: FastifyReply,
): FastifyReply {
  const text = (key: string) => (typeof body[key] === 'string' ? body[key] : '');
  const actions: Record<string, () => unknown> = {
    introduce: () => customers.introduce(bot, userId, namesIn(body)),
    send: () => customers.send(bot, userId, text('text')),
    start: () => {
      if (typeof body['user'] === 'object') {
        customers.introduce(bot, userId, namesIn(body['user'] as Record<string, unknown>));
      }
      return customers.start(bot, userId, text('payload'));
    },
    press: () => customers.press(bot, userId, Number(body['messageId']), text('callbackData')),
    block: () => customers.block(bot, userId),
    unblock: () => customers.unblock(bot, userId),
  };
  const chosen = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (chosen === undefined) return reply.code(404).send({ error: `No action ${action}.` });
  try {
    return reply.send(chosen() ?? { ok: true });
  } catch (error) {
    if (!(error instanceof BotApiError)) throw error;
    return reply.code(400).send({ error: error.message });
  }
}

function namesIn(body: Record<string, unknown>) {
  const names: { first_name?: string; last_name?: string; language_code?: string } = {};
  for (const key of ['first_name', 'last_name', 'language_code'] as const) {
    const value = body[key];
    if (typeof value === 'string' && value !== '') names[key] = value.slice(0, 64);
  }
  return names;
}
