/**
 * Meta's `user_data`: only documented keys (one unknown key refuses the whole request), only valid
 * values (a malformed fbc does the same), never an empty one.
 * @see Meta, "Customer information parameters"
 */
import { wellFormedFbc, wellFormedFbp } from '@rastro/events';
import {
  type CustomerInformation,
  type CustomerTools,
  type HashedCustomer,
  hashedCustomer,
  textsOf,
  type Values,
} from './customer-information.ts';
import { type Click, fresher, type Journey, type Signals } from './journey.ts';
import type { Order } from './order.ts';

/** What a browser says about itself; never hashed. */
export const browserKeys = ['client_ip_address', 'client_user_agent', 'fbc', 'fbp'] as const;
type BrowserKey = (typeof browserKeys)[number];

export type UserData = HashedCustomer & { readonly [K in BrowserKey]?: string };

/** All that is known, valid or not, most wanted first. */
export type Candidates = CustomerInformation & { readonly [K in BrowserKey]?: Values };

export interface UserDataTools extends CustomerTools {
  /** Unmapped and without a port; null for what is no address of the public internet. */
  readonly publicIp: (address: string) => string | null;
}

/** IP and user agent of the click; cookies as they stand after the Pixel ran. */
export function pageViewUserData(
  journey: Journey & { readonly click: Click },
  tools: UserDataTools,
): UserData {
  const { click, bridge, telegramExternalId } = journey;
  return userData(
    {
      client_ip_address: [click.clientIp, bridge?.clientIp?.value],
      client_user_agent: [click.userAgent, bridge?.userAgent?.value],
      fbc: fbcsOf(click, [bridge]),
      fbp: [bridge?.fbp?.value, click.fbp],
      external_id: [...click.externalIds, telegramExternalId?.value],
    },
    tools,
  );
}

/** The delivery page's own values where it was opened, else the click's. */
export function purchaseUserData(
  order: Order,
  journey: Journey | null,
  tools: UserDataTools,
): UserData {
  const click = journey?.click ?? null;
  const page = order.viewed ? deliveryPage(order.viewed, journey?.delivery ?? null) : null;
  const bridge = journey?.bridge ?? null;
  const ownIp = page?.clientIp?.value;
  return userData(
    {
      client_ip_address: ownIp ? [ownIp] : [click?.clientIp, bridge?.clientIp?.value],
      client_user_agent: [page?.userAgent?.value, click?.userAgent, bridge?.userAgent?.value],
      fbc: fbcsOf(click, [page, bridge]),
      fbp: [page?.fbp?.value, bridge?.fbp?.value, click?.fbp],
      external_id: [
        ...(click?.externalIds ?? []),
        journey?.telegramExternalId?.value,
        order.paid?.telegramExternalId,
      ],
    },
    tools,
  );
}

/**
 * The only maker of `user_data`: each documented key is looked for by its name, so that no other
 * gets through, and what is not valid is left out.
 */
export function userData(candidates: Candidates, tools: UserDataTools): UserData {
  const data: { -readonly [K in BrowserKey]?: string } = {};
  for (const key of browserKeys) {
    const value = browserRules[key](textsOf(candidates[key]), tools);
    if (value) data[key] = value;
  }
  return { ...data, ...hashedCustomer(candidates, tools) };
}

type BrowserRule = (texts: string[], tools: UserDataTools) => string | null | undefined;

const browserRules: Readonly<Record<BrowserKey, BrowserRule>> = {
  client_ip_address: (texts, tools) => {
    // The click and its page usually say the same.
    const ips = [...new Set(texts)].map(tools.publicIp).filter((ip) => ip !== null);
    // Meta prefers IPv6.
    return ips.find((ip) => ip.includes(':')) ?? ips[0];
  },
  client_user_agent: (texts) => texts[0],
  fbc: (texts) => texts.map(wellFormedFbc).find((fbc) => fbc !== null),
  fbp: (texts) => texts.map(wellFormedFbp).find((fbp) => fbp !== null),
};

/** Which are too common to say who somebody is, if there is nothing else. */
const broadKeys = [
  ['ct', 'country', 'st', 'zp', 'ge', 'client_user_agent'],
  ['db', 'client_user_agent'],
  ['fn', 'ge'],
  ['ln', 'ge'],
];

/**
 * Without anything beyond such a combination Meta refuses the event (100/2804050).
 * @see Meta, "Best practices for the Conversions API": valid combinations since v13
 */
export function hasMatchKeys(data: UserData): boolean {
  const keys = Object.keys(data);
  return broadKeys.every((broad) => keys.some((key) => !broad.includes(key)));
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
function fbcsOf(click: Click | null, pages: readonly (Signals | null)[]): Values {
  const cookies = pages.map((page) => page?.fbc?.value);
  return [...cookies.filter((fbc) => isOfClick(fbc, click?.fbclid)), click?.fbc];
}

/** @param fbclid null where the click had none: then any cookie is as good as another. */
export function isOfClick(fbc: string | undefined, fbclid: string | null | undefined): boolean {
  if (!fbclid) return true;
  const clickId = fbc?.split('.').slice(3).join('.');
  // Meta's own libraries append `.<marker>`.
  return clickId === fbclid || (clickId?.startsWith(`${fbclid}.`) ?? false);
}
