/** One keeper for each bot that we run: started, restarted and stopped as the catalog changes. */
import type { Catalog } from '@rastro/messaging';

export interface FleetBot {
  readonly botId: string;
  readonly workspaceId: string;
}

export interface BotFleet extends AsyncDisposable {
  /** Makes the fleet what the catalog says. */
  reconcile(): void;
}

interface Keeper {
  readonly token: string;
  readonly stopping: AbortController;
  readonly done: Promise<void>;
}

export interface FleetOptions {
  readonly catalog: Catalog;
  /** Serves one bot until the signal; must not throw. */
  readonly keep: (bot: FleetBot, signal: AbortSignal) => Promise<void>;
}

/** Disabled and external bots are left alone. */
export function createBotFleet({ catalog, keep }: FleetOptions): BotFleet {
  const keepers = new Map<string, Keeper>();
  /** Two keepers of one bot would disturb each other: the next waits for the one before. */
  const endings = new Map<string, Promise<void>>();
  let isClosed = false;

  function stop(botId: string): void {
    const keeper = keepers.get(botId);
    if (keeper === undefined) return;
    keepers.delete(botId);
    keeper.stopping.abort();
    endings.set(botId, keeper.done);
  }
  function start(bot: FleetBot, token: string): void {
    const stopping = new AbortController();
    const before = endings.get(bot.botId) ?? Promise.resolve();
    const done = before.then(() =>
      stopping.signal.aborted ? undefined : keep(bot, stopping.signal),
    );
    keepers.set(bot.botId, { token, stopping, done });
  }
  return {
    reconcile() {
      if (isClosed) return;
      const wanted = catalog
        .list('bot')
        .filter(({ item }) => item.enabled && item.runtime === 'managed');
      const ids = new Set(wanted.map(({ item }) => item.id));
      for (const botId of keepers.keys()) if (!ids.has(botId)) stop(botId);
      for (const { workspaceId, item } of wanted) {
        if (keepers.get(item.id)?.token === item.token) continue;
        stop(item.id);
        start({ botId: item.id, workspaceId }, item.token);
      }
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      for (const botId of keepers.keys()) stop(botId);
      await Promise.allSettled(endings.values());
    },
  };
}
