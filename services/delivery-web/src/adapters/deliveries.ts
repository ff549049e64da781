/** Deliveries: looked up by their token, issued and opened through the event store. */
import {
  append,
  type Queryable,
  readStream,
  type Sql,
  type Transaction,
  withConflictRetry,
} from '@rastro/event-store';
import { type DataOf, envelop } from '@rastro/events';
import { newId, sha256Hex } from '@rastro/runtime';
import {
  decide,
  type DeliveryCommand,
  type DeliveryEvent,
  evolve,
  initialState,
  viewPauseMs,
} from '../core/delivery.ts';
import type { Delivery } from '../core/page.ts';

interface Row extends Omit<Delivery, 'click' | 'cookies' | 'firstReportMs'> {
  readonly clickPoolId: string | null;
  readonly clickConsent: string | null;
  readonly clickExternalIds: string[] | null;
  readonly fbp: string | null;
  readonly fbc: string | null;
  readonly firstReportAt: Date | null;
}

export async function findDelivery(sql: Queryable, token: string): Promise<Delivery | undefined> {
  const [row] = await sql<Row[]>`
    select d.delivery_id, d.payment_id, d.access_url,
      o.workspace_id, o.bot_id, o.pool_id, o.tracking_token,
      o.product_id, o.product_name, o.amount_cents, o.currency,
      o.paid_at is not null as is_paid,
      o.refunded_at is not null as is_refunded,
      o.charged_back_at is not null as is_charged_back,
      coalesce(o.is_dispute_open, false) as is_disputed,
      c.pool_id as click_pool_id, c.external_ids as click_external_ids, c.consent as click_consent,
      l.external_id as lead_external_id,
      coalesce(b.fbp, c.fbp) as fbp, coalesce(b.fbc, c.fbc) as fbc,
      least(s.first_sent_at, d.first_pixel_at) as first_report_at
    from deliveries d
    join orders o using (payment_id)
    left join clicks c
      on c.workspace_id = o.workspace_id and c.tracking_token = o.tracking_token
    left join browser_cookies b
      on b.workspace_id = o.workspace_id and b.tracking_token = o.tracking_token
    left join leads l on l.workspace_id = o.workspace_id and l.lead_id = o.lead_id
    left join purchase_sends s on s.payment_id = o.payment_id
    where d.token_hash = ${sha256Hex(token)}`;
  return row && deliveryOf(row);
}

function deliveryOf(row: Row): Delivery {
  const { clickPoolId, clickConsent, clickExternalIds, fbp, fbc, firstReportAt, ...rest } = row;
  const isClickKnown = clickPoolId !== null && clickConsent !== null && clickExternalIds !== null;
  return {
    ...rest,
    click: isClickKnown
      ? { poolId: clickPoolId, consent: clickConsent, externalIds: clickExternalIds }
      : null,
    cookies: { fbp, fbc },
    firstReportMs: firstReportAt?.getTime() ?? null,
  };
}

export async function findClickPool(
  sql: Queryable,
  workspaceId: string,
  trackingToken: string | null,
): Promise<string | null> {
  if (trackingToken === null) return null;
  const [row] = await sql<{ poolId: string }[]>`
    select pool_id from clicks
    where workspace_id = ${workspaceId} and tracking_token = ${trackingToken}`;
  return row?.poolId ?? null;
}

interface Cause {
  readonly workspaceId: string;
  /** ISO 8601. */
  readonly time: string;
  readonly causationId?: string;
}

/** Issues in the caller's transaction; does nothing for a payment that has its delivery. */
export async function issueDelivery(
  tx: Transaction,
  delivery: DataOf<'DeliveryIssued'>,
  cause: Cause,
): Promise<boolean> {
  const { deliveryId, paymentId, deliveryToken, accessUrl, issuedAt } = delivery;
  const issued = await carryOut(tx, paymentId, { type: 'IssueDelivery', delivery }, cause);
  if (!issued) return false;
  const tokenHash = sha256Hex(deliveryToken);
  const row = { deliveryId, paymentId, tokenHash, accessUrl, issuedAt };
  await tx`insert into deliveries ${tx(row)}`;
  return true;
}

/** Records an opening, or nothing where one was recorded within the last hour. */
export async function recordView(
  sql: Sql,
  view: DataOf<'DeliveryViewed'>,
  workspaceId: string,
): Promise<boolean> {
  const { deliveryId, paymentId, viewedAt, isPixelRendered } = view;
  const pauseBegan = new Date(Date.parse(viewedAt) - viewPauseMs).toISOString();
  return withConflictRetry(() =>
    sql.begin(async (tx) => {
      if (isPixelRendered) {
        await tx`
          update deliveries set first_pixel_at = least(first_pixel_at, ${viewedAt})
          where delivery_id = ${deliveryId}`;
      }
      const command: DeliveryCommand = { type: 'RecordView', view, pauseBegan };
      return carryOut(tx, paymentId, command, { workspaceId, time: viewedAt });
    }),
  );
}

async function carryOut(
  tx: Transaction,
  paymentId: string,
  command: DeliveryCommand,
  cause: Cause,
): Promise<boolean> {
  const streamId = `delivery-${paymentId}`;
  const history = (await readStream(tx, streamId)) as unknown as DeliveryEvent[];
  const bodies = decide(history.reduce(evolve, initialState), command);
  const events = bodies.map((body) =>
    envelop(body, { ...cause, id: newId(), source: 'delivery-web', aggregateId: paymentId }),
  );
  await append(tx, { streamId, expectedVersion: history.length, events });
  return events.length > 0;
}
