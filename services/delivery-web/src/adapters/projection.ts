/**
 * Own tables filled from events. Each write is a merge (first wins, earliest, latest, or) that
 * gives the same rows in any order and any number of times, so none of them needs an inbox.
 */
import type { Queryable } from '@rastro/event-store';
import type { RastroEvent } from '@rastro/events';
import { metaCookies } from '../core/meta-cookies.ts';
import { orderChange, orderFacts, type PaymentEvent } from '../core/order.ts';

export async function saveOrder(sql: Queryable, event: PaymentEvent): Promise<void> {
  await sql`
    insert into orders ${sql({ ...orderFacts(event), ...orderChange(event) })}
    on conflict (payment_id) do update set
      paid_at = least(orders.paid_at, excluded.paid_at),
      refunded_at = least(orders.refunded_at, excluded.refunded_at),
      charged_back_at = least(orders.charged_back_at, excluded.charged_back_at),
      (disputed_at, is_dispute_open) = (
        select at, is_open from (values
          (orders.disputed_at, orders.is_dispute_open),
          (excluded.disputed_at, excluded.is_dispute_open)
        ) as dispute (at, is_open)
        order by at desc nulls last, is_open desc limit 1)`;
}

export async function saveLead(
  sql: Queryable,
  { workspaceid, data }: RastroEvent<'FunnelStarted'>,
): Promise<void> {
  const { leadId, externalId } = data;
  await sql`
    insert into leads ${sql({ workspaceId: workspaceid, leadId, externalId })}
    on conflict do nothing`;
}

/** An unconfirmed send counts: Meta may have received it. */
export async function savePurchaseSend(
  sql: Queryable,
  { type, data }: RastroEvent<'ConversionAccepted' | 'ConversionUnconfirmed'>,
): Promise<void> {
  const { eventName, paymentId } = data;
  if (eventName !== 'Purchase' || paymentId === null) return;
  const firstSentAt = type === 'ConversionAccepted' ? data.acceptedAt : data.attemptedAt;
  await sql`
    insert into purchase_sends ${sql({ paymentId, firstSentAt })}
    on conflict (payment_id) do update set
      first_sent_at = least(purchase_sends.first_sent_at, excluded.first_sent_at)`;
}

export async function saveClicks(
  sql: Queryable,
  events: readonly RastroEvent<'ClickTracked'>[],
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map(({ workspaceid, data }) => ({
    workspaceId: workspaceid,
    trackingToken: data.trackingToken,
    poolId: data.poolId,
    externalIds: data.externalIds,
    ...metaCookies(data),
    consent: data.consent,
    clickedAt: data.clickedAt,
  }));
  await sql`insert into clicks ${sql(rows)} on conflict do nothing`;
}

/** A cookie told later replaces one told earlier; a browser without it takes nothing away. */
export async function saveBrowserCookies(
  sql: Queryable,
  { workspaceid, data }: RastroEvent<'BrowserSignalsCaptured'>,
): Promise<void> {
  const { trackingToken, capturedAt } = data;
  const { fbp, fbc } = metaCookies(data);
  if (fbp === null && fbc === null) return;
  const row = {
    workspaceId: workspaceid,
    trackingToken,
    fbp,
    fbpAt: fbp && capturedAt,
    fbc,
    fbcAt: fbc && capturedAt,
  };
  await sql`
    insert into browser_cookies ${sql(row)}
    on conflict (workspace_id, tracking_token) do update set
      (fbp, fbp_at) = (
        select value, at from (values
          (browser_cookies.fbp, browser_cookies.fbp_at), (excluded.fbp, excluded.fbp_at)
        ) as told (value, at) order by at desc nulls last, value desc limit 1),
      (fbc, fbc_at) = (
        select value, at from (values
          (browser_cookies.fbc, browser_cookies.fbc_at), (excluded.fbc, excluded.fbc_at)
        ) as told (value, at) order by at desc nulls last, value desc limit 1)`;
}
