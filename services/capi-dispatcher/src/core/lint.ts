/**
 * What Meta is known to complain of, said before it does: Events Manager shows most of these days
 * later, as a share of all events, and not for which.
 *
 * Nothing is held back because of a complaint, not even of one that is called `refused`: Meta
 * changes its mind without notice, and the last word is its own, with a reason that the ledger
 * keeps. Two things are not sent at all, elsewhere: an event older than seven days (core/pace.ts),
 * which spoils its whole batch, and one that could match nobody (hasMatchKeys).
 * @see Meta, "Server event parameters", "Best practices" and the Dataset Quality API's diagnostics
 */
import { wellFormedFbc, wellFormedFbp } from '@rastro/events';
import { customerKeys } from './customer-information.ts';
import type { ServerEvent } from './server-event.ts';
import { browserKeys, hasMatchKeys, isOfClick, type UserData } from './user-data.ts';

/**
 * `refused`: by an error that is known; `warning`: taken, but worth less or counted wrongly;
 * `hint`: nothing is wrong, and more could be had.
 */
export type Severity = 'refused' | 'warning' | 'hint';

/** For people: what is wrong, and what mends it. Kept short, as each row of the ledger has its own. */
const known = {
  missing_event_id: ['warning', 'No event_id: the Pixel and the server count twice. Set it.'],
  event_time_too_old: ['refused', '2804003: older than 7 days; no event of its batch is taken.'],
  event_time_a_day_late: [
    'warning',
    'A day late: hardly attributed. See why the lane stood still.',
  ],
  event_time_late: [
    'warning',
    'Over 2 hours late: ads learn less. See the age of the oldest unsent.',
  ],
  event_time_in_future: ['refused', 'event_time lies in the future: set the clock of its source.'],
  missing_url: ['warning', 'No event_source_url, which a website event has to have.'],
  url_not_web: [
    'warning',
    'event_source_url is no page on the web: use the landing or delivery page.',
  ],
  url_of_telegram: ['warning', 'event_source_url is a Telegram link: use the landing page.'],
  missing_user_agent: ['warning', 'No client_user_agent: Meta matches fewer people.'],
  missing_ip: ['warning', 'No client_ip_address: see TRUSTED_PROXIES if all visitors lack it.'],
  ip_not_public: ['warning', 'client_ip_address is no public one: see TRUSTED_PROXIES.'],
  ip_is_v4: ['hint', 'IPv4: where the site has IPv6 too, Meta matches better.'],
  fbc_malformed: [
    'refused',
    '2804001: fbc is not fb.<index>.<milliseconds>.<fbclid>: send the cookie as it is.',
  ],
  fbc_of_another_click: [
    'warning',
    'fbc has another fbclid than the landing page: a modified click ID.',
  ],
  fbc_expired: ['warning', 'fbc is older than 90 days: Meta attributes nothing to it any more.'],
  missing_fbc: [
    'warning',
    'The click had an fbclid, and fbc is not sent: a malformed or lost one.',
  ],
  no_click_id: ['hint', 'No click ID: the ad link lost its fbclid, or it was no ad of Meta.'],
  fbp_malformed: [
    'warning',
    'fbp is not fb.<index>.<milliseconds>.<random>: send the cookie as it is.',
  ],
  missing_fbp: ['hint', 'No fbp: the Pixel did not run, and no cookie was set.'],
  missing_external_id: ['hint', 'No external_id: the visitor is another one each time.'],
  external_id_not_hashed: [
    'warning',
    'external_id is not SHA-256, as the Pixel has it: hash it on both sides.',
  ],
  parameter_not_hashed: [
    'refused',
    '2804016: a customer parameter is not SHA-256 in hex: let userData() make it.',
  ],
  parameter_unknown: [
    'refused',
    'user_data has a key that Meta does not know: let userData() make it.',
  ],
  parameter_empty: ['warning', 'user_data has an empty value: leave the key out.'],
  too_broad: [
    'refused',
    '2804050: user_data could be anybody. Send an IP, fbp, or external_id too.',
  ],
  missing_value: ['refused', '2804009: a Purchase without a value. Mend the price in the catalog.'],
  value_zero: ['hint', 'The Purchase is worth nothing: value-based bidding learns nothing of it.'],
  missing_currency: [
    'refused',
    '2804010: a Purchase without a currency of ISO 4217. Mend it in the catalog.',
  ],
  missing_contents: ['hint', 'A Purchase without contents: catalog ads cannot use it.'],
} as const satisfies Record<string, readonly [Severity, string]>;

export type ComplaintCode = keyof typeof known;

export interface Complaint {
  /** Stable, for filters and counts. */
  readonly code: ComplaintCode;
  readonly severity: Severity;
  readonly detail: string;
}

export interface Circumstances {
  /** Unix seconds. */
  readonly nowSeconds: number;
  /** Of the click that the event belongs to; null where there is none. */
  readonly fbclid: string | null;
  readonly publicIp: (address: string) => string | null;
}

export function lint(event: ServerEvent, circumstances: Circumstances): Complaint[] {
  const codes = [
    ...eventCodes(event, circumstances),
    ...browserCodes(event.user_data, circumstances),
    ...clickCodes(event, circumstances),
    ...customerCodes(event.user_data),
    ...purchaseCodes(event),
  ];
  return codes.flatMap((code) => {
    if (code === null) return [];
    const [severity, detail] = known[code];
    return [{ code, severity, detail }];
  });
}

type Codes = (ComplaintCode | null)[];

const hourSeconds = 3_600;
const daySeconds = 24 * hourSeconds;
/** Clocks of two machines differ. */
const clockSkewSeconds = 60;

function eventCodes(event: ServerEvent, { nowSeconds }: Circumstances): Codes {
  return [
    event.event_id ? null : 'missing_event_id',
    timeCode(nowSeconds - event.event_time),
    urlCode(event.event_source_url),
  ];
}

function timeCode(ageSeconds: number): ComplaintCode | null {
  if (ageSeconds < -clockSkewSeconds) return 'event_time_in_future';
  if (ageSeconds > 7 * daySeconds) return 'event_time_too_old';
  if (ageSeconds >= daySeconds) return 'event_time_a_day_late';
  return ageSeconds > 2 * hourSeconds ? 'event_time_late' : null;
}

function urlCode(url: string): ComplaintCode | null {
  if (!url) return 'missing_url';
  const [, host] = /^https?:\/\/([^/?#:]+)/i.exec(url) ?? [];
  if (host === undefined) return 'url_not_web';
  return /(^|\.)(t|telegram)\.(me|dog)$/i.test(host) ? 'url_of_telegram' : null;
}

function browserCodes(data: UserData, { publicIp }: Circumstances): Codes {
  const { client_ip_address: ip, client_user_agent: userAgent, fbp } = data;
  return [
    userAgent ? null : 'missing_user_agent',
    ipCode(ip, publicIp),
    fbp === undefined ? 'missing_fbp' : wellFormedFbp(fbp) ? null : 'fbp_malformed',
  ];
}

function ipCode(ip: string | undefined, publicIp: Circumstances['publicIp']): ComplaintCode | null {
  if (ip === undefined) return 'missing_ip';
  // An IPv4 address that is wrapped into IPv6 is not what a browser shows.
  if (publicIp(ip) === null || (ip.includes(':') && ip.includes('.'))) return 'ip_not_public';
  return ip.includes(':') ? null : 'ip_is_v4';
}

/** Meta compares fbc with the URL's fbclid; the click's is that of the landing page. */
function clickCodes(event: ServerEvent, { fbclid }: Circumstances): Codes {
  const { fbc } = event.user_data;
  const [, inUrl = fbclid] = /[?&]fbclid=([^&#]+)/.exec(event.event_source_url) ?? [];
  if (fbc === undefined) {
    // An organic customer had no click: nothing is missing.
    return [inUrl ? 'missing_fbc' : event.event_name === 'PageView' ? 'no_click_id' : null];
  }
  if (wellFormedFbc(fbc) === null) return ['fbc_malformed'];
  const ageSeconds = event.event_time - Number(fbc.split('.')[2]) / 1_000;
  return [
    isOfClick(fbc, inUrl) ? null : 'fbc_of_another_click',
    ageSeconds > 90 * daySeconds ? 'fbc_expired' : null,
  ];
}

const hash = /^[0-9a-f]{64}$/;
const knownKeys: ReadonlySet<string> = new Set([...customerKeys, ...browserKeys]);

function customerCodes(data: UserData): Codes {
  const isHashed = (key: keyof UserData): boolean => [data[key] ?? []].flat().every(isHash);
  const hashedKeys = customerKeys.filter((key) => key !== 'external_id');
  return [
    data.external_id === undefined ? 'missing_external_id' : null,
    isHashed('external_id') ? null : 'external_id_not_hashed',
    hashedKeys.every(isHashed) ? null : 'parameter_not_hashed',
    Object.keys(data).every((key) => knownKeys.has(key)) ? null : 'parameter_unknown',
    Object.values(data).some((value) => value.length === 0) ? 'parameter_empty' : null,
    hasMatchKeys(data) ? null : 'too_broad',
  ];
}

function isHash(value: string): boolean {
  return hash.test(value);
}

function purchaseCodes({ event_name: name, custom_data: data }: ServerEvent): Codes {
  if (name !== 'Purchase') return [];
  const { value, currency, contents = [] } = data ?? {};
  return [
    Number.isFinite(value) ? null : 'missing_value',
    value === 0 ? 'value_zero' : null,
    /^[A-Z]{3}$/i.test(currency ?? '') ? null : 'missing_currency',
    contents.length > 0 ? null : 'missing_contents',
  ];
}
