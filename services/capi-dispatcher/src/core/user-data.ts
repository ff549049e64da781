/**
 * Meta's `user_data`: only documented keys (one unknown key refuses the whole request), only valid
 * values (a malformed fbc does the same), never an empty one.
 * @see Meta, "Customer information parameters"
 */
import { wellFormedFbc, wellFormedFbp } from '@rastro/events';
import { type Click, fresher, type Journey, type Signals } from './journey.ts';
import type { Order } from './order.ts';

export interface UserData {
  readonly client_ip_address?: string;
  readonly client_user_agent?: string;
  readonly fbc?: string;
  readonly fbp?: string;
  readonly external_id?: readonly string[];
}

const hashPattern = /^[0-9a-f]{64}$/;

/** IP and user agent of the click; cookies as they stand after the Pixel ran. */
export function pageViewUserData(journey: Journey & { readonly click: Click }): UserData {
  const { click, bridge, telegramExternalId } = journey;
  return userData({
    ips: [click.clientIp, bridge?.clientIp?.value],
    userAgents: [click.userAgent, bridge?.userAgent?.value],
    fbc: chooseFbc(click, [bridge]),
    fbp: chooseFbp(click, [bridge]),
    externalIds: [...click.externalIds, telegramExternalId?.value],
  });
}

/** The delivery page's own values where it was opened, else the click's. */
export function purchaseUserData(order: Order, journey: Journey | null): UserData {
  const click = journey?.click ?? null;
  const page = order.viewed ? deliveryPage(order.viewed, journey?.delivery ?? null) : null;
  const bridge = journey?.bridge ?? null;
  const ownIp = page?.clientIp?.value;
  return userData({
    ips: ownIp ? [ownIp] : [click?.clientIp, bridge?.clientIp?.value],
    userAgents: [page?.userAgent?.value, click?.userAgent, bridge?.userAgent?.value],
    fbc: chooseFbc(click, [page, bridge]),
    fbp: chooseFbp(click, [page, bridge]),
    externalIds: [
      ...(click?.externalIds ?? []),
      journey?.telegramExternalId?.value,
      order.paid?.telegramExternalId,
    ],
  });
}

/** Without one of these an event matches nobody, and Meta refuses it as too broad. */
export function hasMatchKeys(data: UserData): boolean {
  const { client_ip_address: ip, fbc, fbp, external_id: ids } = data;
  return [ip, fbc, fbp, ids].some((value) => value !== undefined);
}

function deliveryPage(viewed: Signals, later: Signals | null): Signals {
  return {
    fbp: fresher(viewed.fbp, later?.fbp ?? null),
    fbc: fresher(viewed.fbc, later?.fbc ?? null),
    clientIp: fresher(viewed.clientIp, later?.clientIp ?? null),
    userAgent: fresher(viewed.userAgent, later?.userAgent ?? null),
  };
}

/**
 * A browser's cookie wins over the click's value, unless it speaks of another click: Meta compares
 * fbc with the fbclid of the landing page.
 */
function chooseFbc(click: Click | null, pages: readonly (Signals | null)[]): string | undefined {
  const cookies = pages.map((page) => page?.fbc?.value);
  const ofThisClick = cookies.filter((fbc) => isOfClick(fbc, click));
  return [...ofThisClick, click?.fbc].map(wellFormedFbc).find(isPresent);
}

function isOfClick(fbc: string | undefined, click: Click | null): boolean {
  const fbclid = click?.fbclid;
  if (!fbclid) return true;
  const clickId = fbc?.split('.').slice(3).join('.');
  // Meta's own libraries append `.<marker>`.
  return clickId === fbclid || (clickId?.startsWith(`${fbclid}.`) ?? false);
}

function chooseFbp(click: Click | null, pages: readonly (Signals | null)[]): string | undefined {
  const candidates = [...pages.map((page) => page?.fbp?.value), click?.fbp];
  return candidates.map(wellFormedFbp).find(isPresent);
}

function userData(values: {
  ips: readonly (string | null | undefined)[];
  userAgents: readonly (string | null | undefined)[];
  fbc: string | undefined;
  fbp: string | undefined;
  externalIds: readonly (string | null | undefined)[];
}): UserData {
  const { fbc, fbp } = values;
  const ips = values.ips.filter(isPresent);
  // Meta prefers IPv6.
  const ip = ips.find((address) => address.includes(':')) ?? ips[0];
  const userAgent = values.userAgents.find(isPresent);
  const externalIds = [
    ...new Set(values.externalIds.filter((id) => isPresent(id) && hashPattern.test(id))),
  ].filter(isPresent);
  return {
    ...(ip ? { client_ip_address: ip } : {}),
    ...(userAgent ? { client_user_agent: userAgent } : {}),
    ...(fbc ? { fbc } : {}),
    ...(fbp ? { fbp } : {}),
    ...(externalIds.length > 0 ? { external_id: externalIds } : {}),
  };
}

function isPresent(value: string | null | undefined): value is string {
  return value !== null && value !== undefined && value !== '';
}
