/** A pool's bots: is there one that the bridge can hand a visitor to, and can it sell. */
import type { CatalogItem } from '@rastro/events';
import type { Catalog, Owned } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { failed, type Finding, inCatalog, inTime, ok, warning } from './finding.ts';
import type { OpenSecret } from './secrets.ts';

/** What was last told of a bot; the gateway goes by it. */
export interface BotHealth {
  readonly botId: string;
  readonly health: 'healthy' | 'unhealthy' | null;
  readonly reason: string | null;
  /** Of a bot that recovers: of 100 new visitors. */
  readonly sharePercent: number | null;
}

export async function gatherBotHealth(sql: Sql): Promise<ReadonlyMap<string, BotHealth>> {
  const rows = await inTime(sql<BotHealth[]>`
    select bot_id, health, reason, share_percent from funnel.bot_health`);
  return new Map(rows.map((row) => [row.botId, row]));
}

export interface BotFacts {
  readonly catalog: Catalog;
  /** By bot id; null where Postgres did not tell. */
  readonly health: ReadonlyMap<string, BotHealth> | null;
  readonly open: OpenSecret;
  /** What keeps an account from being used; null where nothing does. */
  readonly accountProblem: (accountId: string) => string | null;
}

type Bot = CatalogItem<'bot'>;
type Pool = Owned<'pool'>;

export function judgeBots(pool: Pool, facts: BotFacts): Finding[] {
  const bots = botsOf(pool, facts.catalog);
  return [
    judgeBridge(pool, bots, facts),
    ...bots.flatMap((bot) => judgeToken(bot, facts)),
    ...accountsOf(bots).map((account) => judgeAccount(account, facts)),
  ];
}

/** The enabled ones of the pool's own workspace: nobody else is ever handed a visitor. */
function botsOf({ workspaceId, item }: Pool, catalog: Catalog): Bot[] {
  return item.bots.flatMap(({ bot: id }) => {
    const bot = catalog.get('bot', id);
    return bot?.item.enabled && bot.workspaceId === workspaceId ? bot.item : [];
  });
}

/**
 * Without an enabled bot visitors go to the fallback; with none that is healthy they are handed to
 * one that is not.
 */
function judgeBridge({ item }: Pool, bots: readonly Bot[], { health }: BotFacts): Finding {
  const about = { check: 'bridge', subject: `pool ${item.id}` };
  if (bots.length === 0) {
    const names = item.bots.map(({ bot }) => bot).join(', ');
    const where = item.fallbackUrl === null ? 'an error page' : 'the fallbackUrl';
    const detail = `visitors are sent to ${where}: none of ${names} exists and is enabled`;
    return failed(about, detail, inCatalog('bots: - { id: …, enabled: true }, named by the pool'));
  }
  if (health === null) return warning(about, 'how the bots are is not known', null);
  const sick = bots.filter(({ id }) => health.get(id)?.health === 'unhealthy');
  const list = sick.map(({ id }) => `${id} (${health.get(id)?.reason ?? 'no reason given'})`);
  const mend = `mend what Telegram says (a new token of @BotFather: ${tokenLine(sick[0]?.id)}); it comes back by itself`;
  if (sick.length === bots.length) {
    return failed(about, `no bot is healthy: ${list.join('; ')}`, mend);
  }
  if (sick.length > 0) return warning(about, `out of rotation: ${list.join('; ')}`, mend);
  const recovering = bots.flatMap(({ id }) => {
    const share = health.get(id)?.sharePercent ?? null;
    return share === null ? [] : `${id} recovers, ${share} % of new visitors`;
  });
  return ok(about, [`${bots.length} healthy bots`, ...recovering].join('; '));
}

const tokenLine = (id = '…'): string => inCatalog(`bots → ${id} → token: "…"`);

function judgeToken(bot: Bot, { open }: BotFacts): Finding[] {
  const about = { check: 'bot token', subject: `bot ${bot.id}` };
  if (bot.token === undefined) {
    // An external bot may keep its own.
    return bot.runtime === 'external' ? [] : [failed(about, 'has none', tokenLine(bot.id))];
  }
  if (open(`bot/${bot.id}/token`, bot.token) !== null) return [ok(about, 'opens')];
  return [failed(about, 'the master key does not open it', tokenLine(bot.id))];
}

const accountsOf = (bots: readonly Bot[]): string[] => [
  ...new Set(bots.flatMap(({ account, fallbackAccounts = [] }) => [account, ...fallbackAccounts])),
];

function judgeAccount(accountId: string, { accountProblem }: BotFacts): Finding {
  const about = { check: 'account', subject: `account ${accountId}` };
  const problem = accountProblem(accountId);
  if (problem === null) return ok(about, 'has its credentials');
  const mend = inCatalog(`accounts → ${accountId} → credentials (docs/gateways.md)`);
  return failed(about, problem, mend);
}
