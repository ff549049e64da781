/** Sessions as the tables have them: names are columns. */
import type { SessionState } from './session.ts';
import { identityOf, pageViewOf, viewSession } from './session-view.ts';

/** All columns of `sessions` but `version`, which counts what was stored. */
export function sessionRow(state: SessionState) {
  const view = viewSession(state);
  const { click, lead, payment } = view;
  return {
    ...clickColumns(click),
    tracking_token: state.trackingToken,
    workspace_id: state.workspaceId,
    first_event_at: state.firstEventAt,
    last_event_at: state.lastEventAt,
    lead_id: lead?.leadId ?? null,
    telegram_user_id: lead?.telegramUserId ?? null,
    funnel_started_at: lead?.startedAt ?? null,
    step_id: view.step?.stepId ?? null,
    is_blocked: view.contact?.isBlocked ?? null,
    payment_id: payment?.paymentId ?? null,
    payment_status: payment?.status ?? null,
    amount_cents: payment?.amountCents ?? null,
    currency: payment?.currency ?? null,
    paid_at: payment?.paidAt ?? null,
    delivery_viewed_at: firstViewOf(view.deliveries),
    page_view_status: view.pageView?.status ?? null,
    purchase_status: view.purchase?.status ?? null,
    state,
  };
}

function clickColumns(click: ReturnType<typeof viewSession>['click']) {
  return {
    clicked_at: click?.clickedAt ?? null,
    pool_id: click?.poolId ?? null,
    slug: click?.slug ?? null,
    bot_id: click?.botId ?? null,
    pixel_id: click?.pixelId ?? null,
    landing_url: click?.landingUrl ?? null,
    referrer: click?.referrer ?? null,
    visitor_id: click?.visitorId ?? null,
    client_ip: click?.clientIp ?? null,
    user_agent: click?.userAgent ?? null,
    language: click?.language ?? null,
    utm_source: click?.utm.source ?? null,
    utm_medium: click?.utm.medium ?? null,
    utm_campaign: click?.utm.campaign ?? null,
    utm_content: click?.utm.content ?? null,
    utm_term: click?.utm.term ?? null,
    src: click?.src ?? null,
    sck: click?.sck ?? null,
    traffic_class: click?.trafficClass ?? null,
    class_reasons: click?.classReasons ?? null,
    consent: click?.consent ?? null,
    campaign_name: click?.ad.campaign.name ?? null,
    campaign_id: click?.ad.campaign.id ?? null,
    adset_name: click?.ad.adset.name ?? null,
    adset_id: click?.ad.adset.id ?? null,
    ad_name: click?.ad.ad.name ?? null,
    ad_id: click?.ad.ad.id ?? null,
    placement: click?.ad.placement ?? null,
  };
}

const firstViewOf = (deliveries: readonly { firstViewedAt: string | null }[]): string | null =>
  deliveries
    .map(({ firstViewedAt }) => firstViewedAt)
    .filter((time) => time !== null)
    .sort()[0] ?? null;

/** A row of `meta_tracking_sessions`. */
export function metaRow(state: SessionState) {
  const identity = identityOf(state);
  const pageView = pageViewOf(state);
  return {
    id: uuidOf(state.trackingToken),
    tracking_token: state.trackingToken,
    root_event_id: identity.rootEventId,
    pageview_sent: pageView?.status === 'accepted',
    pageview_sent_at: pageView?.acceptedAt ?? null,
    fbclid: identity.fbclid,
    fbc: identity.fbc,
    fbp: identity.fbp,
    user_external_id: identity.userExternalId,
    created_at: state.firstEventAt,
    updated_at: state.lastEventAt,
  };
}

/** A token is a UUID v4 without its dashes. */
const uuidOf = (token: string): string =>
  token.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

/**
 * Tokens are unguessable, so two workspaces never share one by accident. Where one speaks of the
 * other's token all the same, the journey is the one that has the click.
 */
export function ownerOf(sessions: readonly SessionState[]): SessionState | undefined {
  const rank = (s: SessionState): string =>
    `${s.click?.at ?? '~'} ${s.firstEventAt} ${s.workspaceId}`;
  return sessions.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
}
