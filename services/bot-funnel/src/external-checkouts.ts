/** Event edge for bots of an external runtime: journeys have their checkouts too. */
import { isFirstDelivery, withConflictRetry } from '@rastro/event-store';
import type { RastroEvent } from '@rastro/events';
import type { Settlement } from '@rastro/messaging';
import type { PaymentFact } from './core/checkout.ts';
import { noteCheckout } from './core/external.ts';
import type { HandlersOptions } from './handlers.ts';

type ExternalCheckoutsOptions = Pick<HandlersOptions, 'sql' | 'leads'>;

/** The program names the lead as it likes: one of another bot or workspace is left alone. */
export async function noteExternalPayment(
  { sql, leads }: ExternalCheckoutsOptions,
  event: RastroEvent<PaymentFact['type']>,
): Promise<Settlement> {
  const { leadId, botId } = event.data;
  if (leadId === null) return 'ack';
  await withConflictRetry(() =>
    sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, 'bot-funnel__commerce', event.id))) return;
      const loaded = await leads.findById(tx, leadId);
      if (loaded?.row.workspaceId !== event.workspaceid || loaded.row.botId !== botId) return;
      if (event.type === 'PaymentCreated') {
        const { createdAt: at } = event.data;
        const decision = noteCheckout(loaded.lead, event.data, at);
        await leads.save(tx, loaded, decision, { at, causationId: event.id });
      }
      await leads.rememberPayment(tx, leadId, event);
    }),
  );
  return 'ack';
}
