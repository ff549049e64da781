/** Lets a bot whose token was refused go on as soon as it has another one. */
import type { Queryable } from '@rastro/event-store';
import type { Api } from 'grammy';
import { resumeBots } from './lane-table.ts';

export interface TokenWatch {
  refused(botId: string, api: Api | undefined): void;
  look(): Promise<void>;
}

export function createTokenWatch(options: {
  sql: Queryable;
  apiOf: (botId: string) => Api | undefined;
}): TokenWatch {
  const { sql, apiOf } = options;
  /** Each token has its client: another client is another token. */
  const refused = new Map<string, Api | undefined>();
  return {
    refused: (botId, api) => refused.set(botId, api),
    async look() {
      const changed = [...refused].filter(([botId, api]) => apiOf(botId) !== api);
      if (changed.length === 0) return;
      const botIds = changed.map(([botId]) => botId);
      await resumeBots(sql, botIds);
      for (const botId of botIds) refused.delete(botId);
    },
  };
}
