/**
 * `user_data` of a Conversions API event, as Meta documents it ("Customer information parameters",
 * "Best practices": combinations too broad to match).
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type Findings, isRecord, plainText } from './findings.ts';

/** SHA-256 in lower-case hex; Meta's parameter builder appends `.` and a marker of 2 or 8 signs. */
const hashedValue = /^[0-9a-f]{64}(?:\.(?:[\w-]{8}|[\w-]{2}))?$/;
const hashOfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const hashedKeys = ['em', 'ph', 'fn', 'ln', 'db', 'ge', 'ct', 'st', 'zp', 'country'];
const plainTextKeys = [
  'subscription_id',
  'anon_id',
  'madid',
  'page_id',
  'page_scoped_user_id',
  'ctwa_clid',
  'ig_account_id',
  'ig_sid',
];
/** In Meta's SDK, but no longer on its list of parameters. */
const retiredKeys = [
  'partner_id',
  'partner_name',
  'f5first',
  'f5last',
  'fi',
  'dobd',
  'dobm',
  'doby',
  'app_user_id',
];
const knownKeys = new Set([
  ...hashedKeys,
  ...plainTextKeys,
  ...retiredKeys,
  'external_id',
  'client_ip_address',
  'client_user_agent',
  'fbc',
  'fbp',
  'fb_login_id',
  'lead_id',
]);

/** An event whose only keys lie within one of these is refused as too broad. */
const tooBroad = [
  ['ct', 'country', 'st', 'zp', 'ge', 'client_user_agent'],
  ['db', 'client_user_agent'],
  ['fn', 'ge'],
  ['ln', 'ge'],
];

export interface UserDataContext {
  path: string;
  nowMs: number;
  eventSourceUrl: string | undefined;
}

export function checkUserData(userData: unknown, context: UserDataContext, found: Findings): void {
  const { path } = context;
  if (userData === undefined || userData === null) {
    found.fault(path, 'The parameter user_data is required.', 2_804_019);
    return;
  }
  if (!isRecord(userData)) {
    found.fault(path, `user_data must be an object, at ${path}.`, 2_804_019);
    return;
  }
  for (const key of Object.keys(userData)) {
    if (!knownKeys.has(key)) found.fault(path, unexpectedKey(key, path), 2_804_019);
    if (retiredKeys.includes(key)) found.warn(`user_data.${key} is no longer a documented key.`);
  }
  for (const key of hashedKeys) checkHashed(key, userData[key], path, found);
  for (const key of plainTextKeys) checkText(key, userData[key], path, found);
  checkExternalId(userData['external_id'], path, found);
  checkClientIp(userData['client_ip_address'], path, found);
  checkText('client_user_agent', userData['client_user_agent'], path, found);
  checkClickId(userData['fbc'], context, found);
  checkBrowserId(userData['fbp'], context, found);
  checkNumbers(userData, path, found);
  checkBreadth(userData, path, found);
}

function unexpectedKey(key: string, path: string): string {
  return `Server Side Api Parameter Error: Unexpected key "${key}" on param "${path}"`;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

function checkHashed(key: string, value: unknown, path: string, found: Findings): void {
  if (value === undefined || value === null) return;
  for (const item of listOf(value)) {
    if (typeof item !== 'string' || !hashedValue.test(item)) {
      found.fault(
        `${path}['${key}']`,
        `The customer information parameter ${key} must be hashed with SHA-256 ` +
          '(64 lower-case hexadecimal digits) before it is sent.',
        2_804_016,
        'Unhashed Customer Information',
      );
      return;
    }
    if (item.startsWith(hashOfNothing)) found.warn(`user_data.${key} is the hash of nothing.`);
  }
  if (Array.isArray(value) && value.length === 0) found.warn(`user_data.${key} is an empty list.`);
}

function checkText(key: string, value: unknown, path: string, found: Findings): void {
  if (value === undefined || value === null) return;
  if (typeof value !== 'string' || value === '') {
    found.fault(`${path}['${key}']`, `${key} must be a non-empty string.`, 2_804_019);
  }
}

function checkExternalId(value: unknown, path: string, found: Findings): void {
  if (value === undefined || value === null) return;
  for (const item of listOf(value)) {
    if (typeof item !== 'string' || item === '') {
      const wanted = 'external_id must be a string or a list of strings, never a number.';
      found.fault(`${path}['external_id']`, wanted, 2_804_019);
      return;
    }
    if (!hashedValue.test(item)) found.warn('external_id is not hashed (recommended by Meta).');
  }
}

function checkClientIp(value: unknown, path: string, found: Findings): void {
  if (value === undefined || value === null) return;
  if (typeof value !== 'string' || isIP(value) === 0) {
    const wanted = 'client_ip_address must be one valid IPv4 or IPv6 address, never hashed.';
    found.fault(`${path}['client_ip_address']`, wanted, 2_804_019);
    return;
  }
  // A mapped address (::ffff:1.2.3.4) is not what the browser's copy says, so it does not match.
  if (ipaddr.parse(value).range() !== 'unicast')
    found.warn('client_ip_address is not a public address: it cannot match.');
}

function checkClickId(value: unknown, context: UserDataContext, found: Findings): void {
  if (value === undefined || value === null) return;
  const parts = typeof value === 'string' ? /^fb\.\d\.(\d{13})\.(\S+)$/.exec(value) : null;
  const createdAtMs = Number(parts?.[1]);
  if (parts === null || createdAtMs > context.nowMs + 86_400_000) {
    found.fault(
      `${context.path}['fbc']`,
      'The Click ID (fbc) is not formatted correctly. It must be ' +
        'fb.<subdomain index>.<creation time in milliseconds>.<fbclid>.',
      2_804_001,
      'Invalid Click ID',
    );
    return;
  }
  if (context.nowMs - createdAtMs > 90 * 86_400_000) found.warn('fbc is older than 90 days.');
  const clickId = fbclidOf(context.eventSourceUrl);
  const payload = (parts[2] ?? '').split('.')[0];
  if (clickId !== null && payload !== clickId.split('.')[0]) {
    found.warn('The fbclid within fbc differs from the one in event_source_url (modified fbclid).');
  }
}

function fbclidOf(url: string | undefined): string | null {
  return url !== undefined && URL.canParse(url) ? new URL(url).searchParams.get('fbclid') : null;
}

function checkBrowserId(value: unknown, context: UserDataContext, found: Findings): void {
  if (value === undefined || value === null) return;
  const isGood = typeof value === 'string' && /^fb\.\d\.\d{13}\.\d+(?:\.[\w-]{2,8})?$/.test(value);
  if (isGood) return;
  const wanted =
    'The browser ID (fbp) is not formatted correctly. It must be ' +
    'fb.<subdomain index>.<creation time in milliseconds>.<random number>.';
  found.fault(`${context.path}['fbp']`, wanted, 2_804_019, 'Invalid Browser ID');
}

function checkNumbers(userData: Record<string, unknown>, path: string, found: Findings): void {
  const leadId = userData['lead_id'];
  if (leadId !== undefined && leadId !== null && !/^\d{15,16}$/.test(plainText(leadId))) {
    found.fault(`${path}['lead_id']`, 'lead_id must have 15 or 16 digits.', 2_804_036);
  }
  const loginId = userData['fb_login_id'];
  if (loginId !== undefined && loginId !== null && !/^\d+$/.test(plainText(loginId))) {
    found.fault(`${path}['fb_login_id']`, 'fb_login_id must be an integer.', 2_804_019);
  }
}

function checkBreadth(userData: Record<string, unknown>, path: string, found: Findings): void {
  const present = Object.keys(userData).filter((key) => {
    const value = userData[key];
    return value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
  });
  if (!tooBroad.some((keys) => present.every((key) => keys.includes(key)))) return;
  found.fault(
    path,
    'This event does not have enough customer information parameters, or has ones that are ' +
      'too broad, so it cannot be matched to a person.',
    2_804_050,
    'Insufficient Customer Information',
  );
}
