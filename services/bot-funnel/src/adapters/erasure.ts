/** Erases what is known of one customer, at his own request (LGPD, art. 18). */
import type { Transaction } from '@rastro/event-store';

export interface Erasure {
  readonly leadId: string;
  readonly streamId: string;
  /** Version of the event that says so: it stays, without anything personal; the others go. */
  readonly keptFrom: number;
}

/**
 * The lead keeps its id and loses its person. Payments stay, for as long as the law asks for them,
 * without the Telegram user.
 */
export async function eraseLead(tx: Transaction, erasure: Erasure): Promise<void> {
  const { leadId, streamId, keptFrom } = erasure;
  await tx`delete from events where stream_id = ${streamId} and version < ${keptFrom}`;
  await tx`delete from timers where lead_id = ${leadId}`;
  await tx`delete from messages where lead_id = ${leadId}`;
  await tx`delete from payment_requests where lead_id = ${leadId} and status <> 'pending'`;
  await tx`
    update payment_requests set request = request || '{"telegramUserId": null}'
    where lead_id = ${leadId}`;
  await tx`
    update observed_payments set event = jsonb_set(event, '{data,telegramUserId}', 'null')
    where lead_id = ${leadId}`;
  await tx`
    update leads set telegram_user_id = null, tracking_token = null, pool_id = null,
      bound_at = null, erased_at = now()
    where lead_id = ${leadId}`;
}
