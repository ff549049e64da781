/** Table `webhooks`: proven messages that wait to be acted upon, and what became of each. */
import type { Queryable } from '@rastro/runtime';
import type { Claim, WebhookHint } from '../core/gateway.ts';
import { storableHint } from '../core/redaction.ts';

export interface StoredWebhook {
  readonly id: number;
  readonly accountId: string;
  /** Of the account. */
  readonly kind: string;
  readonly workspaceId: string;
  readonly type: string;
  readonly chargeId: string | null;
  readonly reference: string | null;
  readonly amountCents: number | null;
  readonly currency: string | null;
  readonly claim: Claim | null;
  readonly receivedAt: Date;
  /** 1 for the first. */
  readonly attempts: number;
}

/** What becomes of a webhook, as data. */
export type WebhookOutcome =
  | 'observed'
  | 'ignored'
  | 'unknown_charge'
  | 'mismatch'
  | 'abandoned'
  | { readonly retryInMs: number };

export type NewWebhook = Pick<StoredWebhook, 'accountId' | 'kind' | 'workspaceId'> & {
  readonly hint: WebhookHint;
};

/** False for a message that came before. */
export async function storeWebhook(
  sql: Queryable,
  { accountId, kind, workspaceId, hint }: NewWebhook,
): Promise<boolean> {
  const storable = storableHint(hint);
  const { webhookId, type, isAboutCharge, chargeId, reference, amountCents, currency } = storable;
  const { claim, record } = storable;
  const rows = await sql`
    insert into webhooks (account_id, kind, workspace_id, webhook_id, type, charge_id, reference,
      amount_cents, currency, claim, record, processed_at, outcome)
    values (${accountId}, ${kind}, ${workspaceId}, ${webhookId}, ${type}, ${chargeId}, ${reference},
      ${amountCents}, ${currency}, ${claim}, ${sql.json(record as never)},
      case when ${isAboutCharge} then null else now() end,
      case when ${isAboutCharge} then null else 'ignored' end)
    on conflict (account_id, webhook_id) do nothing returning 1`;
  return rows.length === 1;
}

/** Longer than a gateway may take to answer; after a crash, the wait until somebody else tries. */
const leaseSeconds = 12;

export async function takeWebhooks(
  sql: Queryable,
  limit: number,
  busyAccounts: readonly string[],
): Promise<StoredWebhook[]> {
  return sql<StoredWebhook[]>`
    update webhooks set attempts = attempts + 1,
      next_attempt_at = now() + ${leaseSeconds} * interval '1 second'
    where id in (
      select id from webhooks where processed_at is null and next_attempt_at <= now()
        and account_id <> all(${busyAccounts as string[]}::text[])
      order by next_attempt_at limit ${limit} for update skip locked)
    returning id, account_id, kind, workspace_id, type, charge_id, reference, amount_cents, currency,
      claim, received_at, attempts`;
}

export async function settleWebhook(
  sql: Queryable,
  id: number,
  outcome: WebhookOutcome,
): Promise<void> {
  if (typeof outcome === 'string') {
    await sql`update webhooks set processed_at = now(), outcome = ${outcome} where id = ${id}`;
    return;
  }
  await sql`
    update webhooks set next_attempt_at = now() + ${outcome.retryInMs} * interval '1 millisecond'
    where id = ${id}`;
}
