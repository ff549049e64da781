/** From what a customer did to the command that his lead decides upon. */
import type { Catalog } from '@rastro/messaging';
import type { Transaction } from '@rastro/event-store';
import { newId, sha256Hex } from '@rastro/runtime';
import type { LeadCommand } from './core/decide.ts';
import { type FunnelSnapshot, parsePress, snapshotKeyOf } from './core/funnel.ts';
import type { Incoming } from './core/incoming.ts';
import { type Click, clickOf, type Lead } from './core/lead.ts';
import type { FunnelVersions } from './adapters/funnel-versions.ts';
import type { UserClick } from './adapters/lead-store.ts';

export interface CommandOptions {
  readonly catalog: Catalog;
  readonly funnels: FunnelVersions;
}

export interface Situation {
  readonly incoming: Incoming;
  readonly lead: Lead;
  /** The click that a START names. */
  readonly click: Click | null;
  /** Those that users were bound to before, in whichever bots; the newest first. */
  readonly userClicks: readonly UserClick[];
  /** As the catalog has it now. */
  readonly funnel: Parameters<FunnelVersions['keep']>[1] | undefined;
  readonly at: string;
}

/** Null where there is nothing to decide. */
export async function commandOf(
  options: CommandOptions,
  tx: Transaction,
  situation: Situation,
): Promise<LeadCommand | null> {
  const { incoming, lead, at } = situation;
  const { content, workspaceId } = incoming;
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
  const { incoming, click, funnel, at } = situation;
  const { telegramUserId, languageCode, isPremium } = incoming;
  if (funnel === undefined) return null;
  return {
    type: 'Start',
    at,
    telegramUserId,
    externalId: sha256Hex(String(telegramUserId)),
    languageCode,
    isPremium,
    click: click ?? survivingClick(options, situation),
    funnel: await options.funnels.keep(tx, funnel),
  };
}

/** A customer whom an ad led into another bot of the pool is still that ad's customer here. */
function survivingClick({ catalog }: CommandOptions, situation: Situation): Click | null {
  const { incoming, lead, userClicks } = situation;
  const { botId, workspaceId, telegramUserId } = incoming;
  const last = userClicks.find((click) => {
    const isHis = click.telegramUserId === telegramUserId && click.workspaceId === workspaceId;
    return (
      isHis && click.poolId !== null && isInPool(catalog, click.poolId, { botId, workspaceId })
    );
  });
  if (last === undefined || last.trackingToken === clickOf(lead)?.trackingToken) return null;
  const { trackingToken, poolId } = last;
  return { trackingToken, poolId };
}

function isInPool(
  catalog: Catalog,
  poolId: string,
  { botId, workspaceId }: { botId: string; workspaceId: string },
): boolean {
  const pool = catalog.get('pool', poolId);
  return pool?.workspaceId === workspaceId && pool.item.bots.some(({ bot }) => bot === botId);
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
