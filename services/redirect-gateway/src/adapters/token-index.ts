/** Whose token it is, as tracking-store's cache in Redis knows: `tracking:<token>`. */
import { parseJson } from '@rastro/events';
import type { Redis } from '@rastro/runtime';
import type { OutageLog } from './outage-log.ts';

/** Workspaces by token, of those of these tokens that are known; rejects when Redis is away. */
export type LookUp = (tokens: readonly string[]) => Promise<ReadonlyMap<string, string>>;

export function createLookUp(redis: Redis, outage: OutageLog): LookUp {
  return async (tokens) => {
    const answers = await redis.mget(tokens.map((token) => `tracking:${token}`)).catch((error) => {
      outage.report(error);
      throw error;
    });
    outage.isOver();
    const workspaces = new Map<string, string>();
    tokens.forEach((token, index) => {
      const workspaceId = workspaceIn(answers[index]);
      if (workspaceId !== undefined) workspaces.set(token, workspaceId);
    });
    return workspaces;
  };
}

function workspaceIn(answer: string | null | undefined): string | undefined {
  const parsed = answer ? parseJson(answer) : undefined;
  if (!parsed?.ok || typeof parsed.value !== 'object' || parsed.value === null) return undefined;
  const { workspaceId } = parsed.value as { workspaceId?: unknown };
  return typeof workspaceId === 'string' ? workspaceId : undefined;
}
