/** One keeper for each bot that we run: started, restarted and stopped as the catalog changes. */
import type { Catalog } from '@rastro/messaging';

export interface FleetBot {
  readonly botId: string;
  readonly workspaceId: string;
  /** As the catalog has it, which is where links lead to. */
  readonly username: string;
  /** One that is not serves nobody; what it had set up at Telegram is taken back. */
  readonly isEnabled: boolean;
}

export interface BotFleet extends AsyncDisposable {
  /** Makes the fleet what the catalog says. */
  reconcile(): void;
}

interface Keeper {
  readonly bot: FleetBot;
  readonly token: string | undefined;
  readonly stopping: AbortController;
  readonly done: Promise<void>;
}

export interface FleetOptions {
  readonly catalog: Catalog;
  /** Serves one bot until the signal; must not throw. */
  readonly keep: (bot: FleetBot, signal: AbortSignal) => Promise<void>;
}

const retired = Symbol('retired');

/** Whether a keeper was stopped because its bot, or its token, is no longer ours to serve. */
export const isRetired = (signal: AbortSignal): boolean => signal.reason === retired;

/** External bots are left alone. */
export function createBotFleet({ catalog, keep }: FleetOptions): BotFleet {
  const keepers = new Map<string, Keeper>();
  /** Two keepers of one bot would disturb each other: the next waits for the one before. */
  const endings = new Map<string, Promise<void>>();
  let isClosed = false;

  function stop(botId: string, reason?: typeof retired): void {
    const keeper = keepers.get(botId);
    if (keeper === undefined) return;
    keepers.delete(botId);
    keeper.stopping.abort(reason);
    endings.set(botId, keeper.done);
  }
  function start(bot: FleetBot, token: string | undefined): void {
    const stopping = new AbortController();
    const before = endings.get(bot.botId) ?? Promise.resolve();
    const done = before.then(() =>
      stopping.signal.aborted ? undefined : keep(bot, stopping.signal),
    );
    keepers.set(bot.botId, { bot, token, stopping, done });
  }
  return {
    reconcile() {
      if (isClosed) return;
      const managed = catalog.list('bot').filter(({ item }) => item.runtime === 'managed');
      const ids = new Set(managed.map(({ item }) => item.id));
      for (const botId of keepers.keys()) if (!ids.has(botId)) stop(botId, retired);
      for (const { workspaceId, item } of managed) {
        const { id: botId, username, enabled: isEnabled, token } = item;
        const bot = { botId, workspaceId, username, isEnabled };
        const keeper = keepers.get(botId);
        if (keeper !== undefined && isSame(keeper, bot, token)) continue;
        // Another token may be another bot; the one before must not push to us any longer.
        stop(botId, keeper?.token === token ? undefined : retired);
        start(bot, token);
      }
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      for (const botId of keepers.keys()) stop(botId);
      await Promise.allSettled(endings.values());
    },
  };
}

function isSame({ bot, token }: Keeper, other: FleetBot, otherToken?: string): boolean {
  const isAlike = bot.username === other.username && bot.isEnabled === other.isEnabled;
  return isAlike && bot.workspaceId === other.workspaceId && token === otherToken;
}
