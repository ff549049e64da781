/** Request edge: what programs that run a bot of their own say of its customers. */
import { setTimeout as delay } from 'node:timers/promises';
import { withConflictRetry } from '@rastro/event-store';
import type { funnelStart, funnelStep, ReplyOf, RequestOf, RequestProblem } from '@rastro/events';
import type { Catalog, RequestResult } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { ownClick } from './adapters/click-store.ts';
import { leadKey } from './adapters/lead-store.ts';
import { decide } from './core/decide.ts';
import { noteStep, recordedOnly } from './core/external.ts';
import { type Incoming, trackingTokenIn } from './core/incoming.ts';
import { type Click, clickOf, evolve } from './core/lead.ts';
import { clickWaitMs } from './core/retry.ts';
import type { HandlersOptions } from './handlers.ts';
import { commandOf, insideFunnel, type Situation } from './update-command.ts';
import type { UpdatesOptions } from './updates.ts';

export interface FunnelRequestsOptions
  extends
    Pick<HandlersOptions, 'sql' | 'catalog' | 'funnels'>,
    Pick<UpdatesOptions, 'findClicks' | 'findUserClicks'> {
  readonly leads: Pick<UpdatesOptions['leads'], 'open' | 'find'> &
    Pick<HandlersOptions['leads'], 'save'>;
}

type StartRequest = RequestOf<typeof funnelStart>;
type StartReply = RequestResult<ReplyOf<typeof funnelStart>>;
type StepRequest = RequestOf<typeof funnelStep>;
type StepReply = RequestResult<ReplyOf<typeof funnelStep>>;

export interface FunnelRequests {
  /** Each call is a START: nothing in it tells a repetition from a customer who came again. */
  readonly start: (request: StartRequest) => Promise<StartReply>;
  readonly step: (request: StepRequest) => Promise<StepReply>;
}

export function createFunnelRequests(options: FunnelRequestsOptions): FunnelRequests {
  return {
    start: (request) => start(options, request),
    step: (request) => step(options, request),
  };
}

function refusal(
  code: RequestProblem['code'],
  message: string,
): { readonly ok: false; readonly error: RequestProblem } {
  return { ok: false, error: { code, message } };
}

async function start(options: FunnelRequestsOptions, request: StartRequest): Promise<StartReply> {
  const { sql, catalog, leads, findUserClicks } = options;
  const { workspaceId, botId, telegramUserId } = request;
  const bot = externalBot(catalog, request);
  if ('ok' in bot) return bot;
  const funnel = catalog.get('funnel', bot.item.funnel);
  if (funnel === undefined) return noFunnel(botId, bot.item.funnel);
  const click = await namedClick(options, request);
  const owner = { workspaceId, botId, telegramUserId };
  return withConflictRetry(() =>
    sql.begin(async (tx): Promise<StartReply> => {
      const loaded = (await leads.open(tx, [owner])).get(leadKey(owner));
      if (loaded?.row.workspaceId !== workspaceId) return unknownBot(request);
      const { lead } = loaded;
      const at = new Date().toISOString();
      const userClicks = click === null ? await findUserClicks(tx, [owner]) : [];
      const incoming = incomingOf(request, at);
      const situation: Situation = { incoming, lead, click, userClicks, funnel, at };
      const command = await commandOf(options, tx, situation);
      if (command?.type !== 'Start') return noFunnel(botId, bot.item.funnel);
      const decision = recordedOnly(decide(lead, command));
      await leads.save(tx, loaded, decision, { at, causationId: newId() });
      const { trackingToken = null, poolId = null } =
        clickOf(decision.events.reduce(evolve, lead)) ?? {};
      const { funnelId, version: funnelVersion } = command.funnel;
      const origin = command.click === null ? 'organic' : 'click';
      const { leadId } = loaded.row;
      return {
        ok: true,
        value: { leadId, origin, trackingToken, poolId, funnelId, funnelVersion },
      };
    }),
  );
}

const noFunnel = (botId: string, funnelId: string) =>
  refusal('refused', `Bot ${botId} has funnel ${funnelId}, which is not there.`);

/** The same as if Telegram had told us. */
function incomingOf(request: StartRequest, receivedAt: string): Incoming {
  const { workspaceId, botId, telegramUserId } = request;
  const { trackingToken: payload = null, languageCode = null, isPremium = false } = request;
  const who = { workspaceId, botId, telegramUserId, languageCode, isPremium };
  return { ...who, updateId: 0, receivedAt, content: { type: 'start', payload } };
}

async function step(options: FunnelRequestsOptions, request: StepRequest): Promise<StepReply> {
  const { sql, catalog, leads, funnels } = options;
  const { workspaceId, botId, telegramUserId, stepId } = request;
  const bot = externalBot(catalog, request);
  if ('ok' in bot) return bot;
  const owner = { workspaceId, botId, telegramUserId };
  return withConflictRetry(() =>
    sql.begin(async (tx): Promise<StepReply> => {
      const loaded = (await leads.find(tx, [owner])).get(leadKey(owner));
      const isKnown = loaded?.row.workspaceId === workspaceId;
      const funnel = isKnown ? await insideFunnel(funnels, tx, workspaceId, loaded.lead) : null;
      if (!isKnown || funnel === null) {
        return refusal('not_found', `Nobody of that id has pressed START in bot ${botId}.`);
      }
      const at = new Date().toISOString();
      const decision = noteStep(loaded.lead, { funnel, stepId, at });
      if (decision.events.length === 0) {
        const { funnelId, version, steps } = funnel;
        const known = steps.map(({ id }) => id).join(', ');
        return refusal(
          'invalid_request',
          `Funnel ${funnelId} has no step ${stepId} in version ${version}; it has: ${known}.`.slice(
            0,
            1024,
          ),
        );
      }
      await leads.save(tx, loaded, decision, { at, causationId: newId() });
      return { ok: true, value: { leadId: loaded.row.leadId, stepId, reachedAt: at } };
    }),
  );
}

function externalBot(catalog: Catalog, request: { workspaceId: string; botId: string }) {
  const bot = catalog.get('bot', request.botId);
  if (bot?.workspaceId !== request.workspaceId) return unknownBot(request);
  if (bot.item.runtime === 'external') return bot;
  return refusal(
    'refused',
    `Rastro runs bot ${request.botId} itself. With \`runtime: external\` in the catalog it is yours.`,
  );
}

const unknownBot = ({ botId, workspaceId }: { botId: string; workspaceId: string }) =>
  refusal('not_found', `There is no bot ${botId} in ${workspaceId}.`);

const clickRetryMs = 200;

/** The click may still be on its way; unknown after a while, or another's: an organic visit. */
async function namedClick(
  { findClicks }: FunnelRequestsOptions,
  request: StartRequest,
): Promise<Click | null> {
  const token = trackingTokenIn(request.trackingToken ?? null);
  if (token === null) return null;
  const deadline = performance.now() + clickWaitMs;
  for (;;) {
    const click = (await findClicks([token])).get(token);
    const isOver = performance.now() > deadline;
    if (click !== undefined || isOver) return ownClick(click, request.workspaceId);
    await delay(clickRetryMs);
  }
}
