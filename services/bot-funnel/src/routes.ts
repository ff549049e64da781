/** HTTP edge: Telegram pushes updates; they are stored and confirmed, and handled later. */
import { type HttpServer, isSameSecret, Problem } from '@rastro/runtime';
import Type, { type Static } from 'typebox';
import { type Incoming, readUpdate } from './core/incoming.ts';
import { UpdateSchema } from './update-schema.ts';

export interface RoutesOptions {
  /** The managed bot of this id that is enabled, and the secret that Telegram sends with it. */
  readonly findBot: (botId: string) => { workspaceId: string; webhookSecret: string } | undefined;
  /** Resolves once the update is stored for good. */
  readonly storeUpdate: (incoming: Incoming) => Promise<void>;
}

const Params = Type.Object({ botId: Type.String({ maxLength: 64 }) });

/** Telegram's own updates are a few kB. */
const maxUpdateBytes = 256 * 1024;

export function addRoutes(app: HttpServer, { findBot, storeUpdate }: RoutesOptions): void {
  app.post<{ Params: Static<typeof Params>; Body: Static<typeof UpdateSchema> }>(
    '/telegram/:botId',
    {
      schema: { params: Params, body: UpdateSchema },
      bodyLimit: maxUpdateBytes,
      // Before the body is read: a stranger's bytes are not even parsed.
      onRequest: async (request) => {
        const bot = findBot(request.params.botId);
        if (bot === undefined) throw new Problem(404, 'Not found', 'No bot receives updates here.');
        const given = request.headers['x-telegram-bot-api-secret-token'];
        if (typeof given !== 'string' || !isSameSecret(given, bot.webhookSecret)) {
          throw new Problem(401, 'Unauthorized', 'The secret token of the webhook is wrong.');
        }
      },
    },
    async (request) => {
      const { botId } = request.params;
      const bot = findBot(botId);
      if (bot === undefined) throw new Problem(404, 'Not found', 'No bot receives updates here.');
      const receivedAt = new Date().toISOString();
      const where = { botId, workspaceId: bot.workspaceId, receivedAt };
      const incoming = readUpdate(request.body, where);
      if (incoming !== null) await storeUpdate(incoming);
      return {};
    },
  );
}
