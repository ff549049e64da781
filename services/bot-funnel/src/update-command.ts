/** From what a customer did to the command that his lead decides upon. */
import type { Catalog } from '@rastro/messaging';
import type { Transaction } from '@rastro/event-store';
import { newId, sha256Hex } from '@rastro/runtime';
import type { LeadCommand } from './core/decide.ts';
import { type FunnelSnapshot, parsePress, snapshotKeyOf } from './core/funnel.ts';
import { type Incoming, trackingTokenIn } from './core/incoming.ts';
import { type Click, clickOf, type Lead } from './core/lead.ts';
import { clickWaitMs } from './core/retry.ts';
import type { KnownClick } from './adapters/click-store.ts';
import type { FunnelVersions } from './adapters/funnel-versions.ts';
import type { LoadedLead } from './adapters/lead-store.ts';

type FunnelEntry = Parameters<FunnelVersions['keep']>[1];

export interface CommandOptions {
  readonly catalog: Catalog;
  readonly funnels: FunnelVersions;
  readonly findClick: (trackingToken: string) => Promise<KnownClick | undefined>;
  readonly findBoundClick: (
    tx: Transaction,
    who: { workspaceId: string; telegramUserId: number; poolIds: readonly string[] },
  ) => Promise<Click | null>;
}

/** The click that a START names: unknown, expired or another workspace's is an organic visit. */
export async function namedClick(
  { findClick }: CommandOptions,
  incoming: Incoming,
): Promise<Click | null | 'not_yet'> {
  const { content, workspaceId, receivedAt } = incoming;
  const token = content.type === 'start' ? trackingTokenIn(content.payload) : null;
  if (token === null) return null;
  const click = await findClick(token);
  if (click === undefined) {
    return Date.now() - Date.parse(receivedAt) < clickWaitMs ? 'not_yet' : null;
  }
  const { trackingToken, poolId } = click;
  return click.workspaceId === workspaceId ? { trackingToken, poolId } : null;
}

export interface Situation {
  readonly incoming: Incoming;
  readonly loaded: LoadedLead;
  readonly click: Click | null;
  /** As the catalog has it now. */
  readonly funnel: FunnelEntry | undefined;
  readonly at: string;
}

/** Null where there is nothing to decide. */
export async function commandOf(
  options: CommandOptions,
  tx: Transaction,
  situation: Situation,
): Promise<LeadCommand | null> {
  const { incoming, loaded, at } = situation;
  const { content, workspaceId } = incoming;
  const { lead } = loaded;
  const { funnels } = options;
  const inside = (): Promise<FunnelSnapshot | null> => insideFunnel(funnels, tx, workspaceId, lead);
  switch (content.type) {
    case 'contact':
      return { type: 'NoteContact', at, isBlocked: content.isBlocked };
    case 'press': {
      const press = parsePress(content.data);
      const key = snapshotKeyOf(press);
      const funnel = await (key === null ? inside() : funnels.byKey(tx, workspaceId, key));
      return { type: 'PressButton', at, press, funnel, newCheckoutId: newId() };
    }
    case 'privacy':
      return { type: 'AskPrivacy', at, about: content.about, funnel: await inside() };
    case 'text':
      // Whoever writes before his first START is started all the same.
      return lead.position === null
        ? startCommand(options, tx, situation)
        : { type: 'Write', at, funnel: await inside() };
    case 'start':
      return startCommand(options, tx, situation);
  }
}

async function startCommand(
  options: CommandOptions,
  tx: Transaction,
  situation: Situation,
): Promise<LeadCommand | null> {
  const { incoming, loaded, funnel, at } = situation;
  const { telegramUserId, languageCode, isPremium } = incoming;
  if (funnel === undefined) return null;
  return {
    type: 'Start',
    at,
    telegramUserId,
    externalId: sha256Hex(String(telegramUserId)),
    languageCode,
    isPremium,
    click: situation.click ?? (await survivingClick(options, tx, incoming, loaded.lead)),
    funnel: await options.funnels.keep(tx, funnel),
  };
}

/** A customer whom an ad led into another bot of the pool is still that ad's customer here. */
async function survivingClick(
  { catalog, findBoundClick }: CommandOptions,
  tx: Transaction,
  { botId, workspaceId, telegramUserId }: Incoming,
  lead: Lead,
): Promise<Click | null> {
  const poolIds = catalog
    .list('pool')
    .filter((pool) => pool.workspaceId === workspaceId)
    .filter(({ item }) => item.bots.some(({ bot }) => bot === botId))
    .map(({ item }) => item.id);
  if (poolIds.length === 0) return null;
  const click = await findBoundClick(tx, { workspaceId, telegramUserId, poolIds });
  return click?.trackingToken === clickOf(lead)?.trackingToken ? null : click;
}

/** The version of the funnel that a lead is inside of. */
export async function insideFunnel(
  funnels: FunnelVersions,
  tx: Transaction,
  workspaceId: string,
  { position }: Lead,
): Promise<FunnelSnapshot | null> {
  if (position === null) return null;
  const { funnelId, funnelVersion: version } = position;
  return funnels.byVersion(tx, { workspaceId, funnelId, version });
}
