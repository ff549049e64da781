/** What the books know of a seller's account. */
import { createHash } from 'node:crypto';
import type { GatewayKind, WorldPixAccount } from '../world.ts';

/** Names an account without keeping its API key. */
export function accountIdOf(account: WorldPixAccount): string {
  return createHash('sha256').update(account.apiKey).digest('hex').slice(0, 16);
}

export const kindOf = ({ kind = 'standard-webhooks' }: WorldPixAccount): GatewayKind => kind;
