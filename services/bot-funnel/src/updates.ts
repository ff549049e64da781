/**
 * What customers did, many at a time: one transaction loads their leads, decides about each in
 * order, and saves. At hundreds of updates a second a transaction for each would be all that
 * Postgres does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  firstDeliveries,
  type Sql,
  type Transaction,
  withConflictRetry,
} from '@rastro/event-store';
import { type BatchExceptions, isOutage, type Settlement } from '@rastro/messaging';
import { decide } from './core/decide.ts';
import { parsePress } from './core/funnel.ts';
import { type Incoming, trackingTokenIn } from './core/incoming.ts';
import { evolve } from './core/lead.ts';
import { clickWaitMs } from './core/retry.ts';
import { type KnownClick, ownClick } from './adapters/click-store.ts';
import type { DecidedLead, LiveEffect, Occasion } from './adapters/decision-store.ts';
import { leadKey, type LeadOwner, type LoadedLead, type UserClick } from './adapters/lead-store.ts';
import type { WaitingChats } from './adapters/waiting-chats.ts';
import { type CommandOptions, commandOf, type Situation } from './update-command.ts';

export interface UpdatesOptions extends CommandOptions {
  readonly sql: Sql;
  readonly leads: {
    open(tx: Transaction, owners: readonly LeadOwner[]): Promise<Map<string, LoadedLead>>;
    find(tx: Transaction, owners: readonly LeadOwner[]): Promise<Map<string, LoadedLead>>;
    save(tx: Transaction, decided: readonly DecidedLead[]): Promise<void>;
  };
  readonly findClicks: (tokens: readonly string[]) => Promise<Map<string, KnownClick>>;
  readonly findUserClicks: (
    tx: Transaction,
    users: readonly LeadOwner[],
  ) => Promise<readonly UserClick[]>;
  readonly waiting: WaitingChats;
  /** What is to do right after the commit; must not throw and is not waited for. */
  readonly carryOut: (effects: readonly LiveEffect[], incoming: Incoming) => void;
  /** Something may have been queued for Telegram or payment-confirmer. */
  readonly onQueued: () => void;
}

/** An update that can be handled now, with what had to be looked up before. */
type Ready = Pick<Situation, 'incoming' | 'click' | 'funnel'> & {
  readonly operatorChatId: number | undefined;
};

export const updateId = ({ botId, updateId: id }: Incoming): string => `${botId}:${id}`;

/**
 * While Postgres is away it waits here: given back to JetStream, the updates of a chat would come
 * again in another order.
 * @returns what is not simply acknowledged, by {@link updateId}
 */
export async function handleUpdates(
  options: UpdatesOptions,
  batch: readonly Incoming[],
): Promise<BatchExceptions> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await handleBatch(options, batch);
    } catch (error) {
      if (!isOutage(error) || attempts >= outageAttempts) throw error;
      await delay(outageRetryMs);
    }
  }
}

/** A restart's length; whoever stops meanwhile is not kept waiting longer. */
const outageAttempts = 20;
const outageRetryMs = 500;

async function handleBatch(
  options: UpdatesOptions,
  batch: readonly Incoming[],
): Promise<BatchExceptions> {
  const exceptions = new Map<string, Settlement | { readonly error: unknown }>();
  const ready = await readyOf(options, batch, exceptions);
  try {
    for (const part of untilErasures(ready)) await handleTogether(options, part);
  } catch (error) {
    if (isOutage(error)) throw error;
    // One that cannot be handled does not keep the others waiting.
    for (const one of ready) {
      await handleTogether(options, [one]).catch((failure: unknown) => {
        exceptions.set(updateId(one.incoming), { error: failure });
      });
    }
  }
  return exceptions;
}

const clickRetryMs = 300;

async function readyOf(
  { catalog, findClicks, waiting }: UpdatesOptions,
  batch: readonly Incoming[],
  exceptions: Map<string, Settlement | { readonly error: unknown }>,
): Promise<Ready[]> {
  const tokens = batch.flatMap((incoming) => tokenOf(incoming) ?? []);
  const clicks = await findClicks(tokens);
  return batch.flatMap((incoming) => {
    const { botId, workspaceId, content } = incoming;
    const bot = catalog.get('bot', botId);
    const funnel = bot && catalog.get('funnel', bot.item.funnel);
    const click = namedClick(incoming, clicks);
    const settle = (settlement: Settlement): [] => {
      exceptions.set(updateId(incoming), settlement);
      return [];
    };
    if (bot?.workspaceId !== workspaceId) {
      return settle({ deadLetter: `bot ${botId} is not in the catalog` });
    }
    if (content.type === 'start' && funnel === undefined) {
      const reason = `bot ${botId} has funnel ${bot.item.funnel}, which is not in the catalog`;
      return settle({ deadLetter: reason });
    }
    if (waiting.isBehind(incoming)) return settle({ retryInMs: clickRetryMs });
    if (click === 'not_yet') {
      waiting.wait(incoming);
      return settle({ retryInMs: clickRetryMs });
    }
    waiting.go(incoming);
    return [{ incoming, click, funnel, operatorChatId: bot.item.operatorChatId }];
  });
}

function tokenOf({ content }: Incoming): string | null {
  return content.type === 'start' ? trackingTokenIn(content.payload) : null;
}

/** The click that a START names: unknown, expired or another workspace's is an organic visit. */
function namedClick(
  incoming: Incoming,
  clicks: ReadonlyMap<string, KnownClick>,
): Ready['click'] | 'not_yet' {
  const token = tokenOf(incoming);
  if (token === null) return null;
  const click = clicks.get(token);
  const ageMs = Date.now() - Date.parse(incoming.receivedAt);
  if (click === undefined && ageMs < clickWaitMs) return 'not_yet';
  return ownClick(click, incoming.workspaceId);
}

/** Whoever comes back after an erasure is a stranger, to be loaded as one. */
function untilErasures(ready: readonly Ready[]): Ready[][] {
  const parts: Ready[][] = [[]];
  for (const one of ready) {
    parts.at(-1)?.push(one);
    const { content } = one.incoming;
    if (content.type === 'press' && parsePress(content.data)?.type === 'erase') parts.push([]);
  }
  return parts;
}

async function handleTogether(options: UpdatesOptions, ready: readonly Ready[]): Promise<void> {
  const { sql, carryOut, onQueued } = options;
  if (ready.length === 0) return;
  const live = await withConflictRetry(() => sql.begin((tx) => decideAll(options, tx, ready)));
  onQueued();
  for (const { effects, incoming } of live) carryOut(effects, incoming);
}

interface Live {
  readonly effects: readonly LiveEffect[];
  readonly incoming: Incoming;
}

async function decideAll(
  options: UpdatesOptions,
  tx: Transaction,
  ready: readonly Ready[],
): Promise<Live[]> {
  const { leads, findUserClicks } = options;
  const ids = ready.map(({ incoming }) => updateId(incoming)).toSorted();
  const first = await firstDeliveries(tx, 'bot-funnel__updates', ids);
  const news = ready.filter(({ incoming }) => first.has(updateId(incoming)));
  const loaded = await loadLeads(leads, tx, news);
  const starting = news.filter(({ click }) => click === null).map(({ incoming }) => incoming);
  const userClicks = await findUserClicks(tx, starting.filter(isStarting));
  const at = new Date().toISOString();
  const decided = new Map<
    string,
    { loaded: LoadedLead; lead: LoadedLead['lead']; occasions: Occasion[] }
  >();
  const live: Live[] = [];
  for (const { operatorChatId, ...one } of news) {
    const { incoming } = one;
    const key = leadKey(incoming);
    const start = loaded.get(key);
    if (start === undefined) continue;
    const known = decided.get(key) ?? { loaded: start, lead: start.lead, occasions: [] };
    const { lead } = known;
    const command = await commandOf(options, tx, { ...one, lead, userClicks, at });
    if (command === null) continue;
    const decision = decide(lead, command);
    known.occasions.push({ decision, at, causationId: updateId(incoming), operatorChatId });
    decided.set(key, { ...known, lead: decision.events.reduce(evolve, lead) });
    live.push({ effects: decision.effects.filter(isLive), incoming });
  }
  await leads.save(tx, [...decided.values()]);
  return live;
}

const isStarting = ({ content }: Incoming): boolean =>
  content.type === 'start' || content.type === 'text';

const isLive = (effect: { type: string }): effect is LiveEffect =>
  effect.type === 'answerPress' || effect.type === 'revalidatePayment';

/** Somebody who only blocks or unblocks a bot does not become its customer. */
async function loadLeads(
  leads: UpdatesOptions['leads'],
  tx: Transaction,
  news: readonly Ready[],
): Promise<Map<string, LoadedLead>> {
  const owners = new Map<string, LeadOwner>();
  const others = new Map<string, LeadOwner>();
  for (const { incoming } of news) {
    const { workspaceId, botId, telegramUserId, content } = incoming;
    const list = content.type === 'contact' ? others : owners;
    list.set(leadKey(incoming), { workspaceId, botId, telegramUserId });
  }
  for (const key of owners.keys()) others.delete(key);
  const opened = await leads.open(tx, [...owners.values()]);
  return new Map([...opened, ...(await leads.find(tx, [...others.values()]))]);
}
