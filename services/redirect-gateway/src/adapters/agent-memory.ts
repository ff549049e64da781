import { type AgentFacts, agentFacts } from '@rastro/traffic';
import { LRUCache } from 'lru-cache';

/**
 * `agentFacts` that remembers: judging a user agent costs more than the rest of a click's event,
 * and in an ad's peak the same few thousand come again and again.
 */
export function rememberedAgentFacts(capacity = 10_000): (userAgent: string) => AgentFacts {
  const known = new LRUCache<string, AgentFacts>({ max: capacity, memoMethod: agentFacts });
  return (userAgent) => known.memo(userAgent);
}
