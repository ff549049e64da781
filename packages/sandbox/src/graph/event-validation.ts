/**
 * One Conversions API event against Meta's documentation ("Server event parameters"). Pure.
 * What the documentation requires but the live API was seen to accept is a warning, not a fault.
 */
import { checkCustomData } from './custom-data.ts';
import { createFindings, type Findings, isRecord } from './findings.ts';
import { checkUserData } from './user-data.ts';

const actionSources = [
  'email',
  'website',
  'app',
  'phone_call',
  'chat',
  'physical_store',
  'system_generated',
  'business_messaging',
  'other',
];

const knownKeys = new Set([
  'event_name',
  'event_time',
  'user_data',
  'custom_data',
  'event_source_url',
  'opt_out',
  'event_id',
  'action_source',
  'data_processing_options',
  'data_processing_options_country',
  'data_processing_options_state',
  'app_data',
  'extinfo',
  'referrer_url',
  'original_event_data',
  'attribution_data',
  'customer_segmentation',
  'messaging_channel',
  'advanced_measurement_table',
]);

const daySeconds = 86_400;

/** @param index the event's place in `data`, for the paths in the findings. */
export function validateEvent(event: unknown, index: number, nowMs: number): Findings {
  const found = createFindings();
  const path = `$['data'][${index}]`;
  if (!isRecord(event)) {
    found.fault(path, `Each of data must be an object, at ${path}.`, 2_804_019);
    return found;
  }
  for (const key of Object.keys(event)) {
    if (!knownKeys.has(key)) found.warn(`${key} is not a documented parameter of an event.`);
  }
  checkName(event, path, found);
  checkTime(event, path, nowMs, found);
  checkActionSource(event, path, found);
  checkIdentityOfEvent(event, path, found);
  checkUrls(event, path, found);
  checkProcessingOptions(event, path, found);
  const url = event['event_source_url'];
  const eventSourceUrl = typeof url === 'string' ? url : undefined;
  const context = { path: `${path}['user_data']`, nowMs, eventSourceUrl };
  checkUserData(event['user_data'], context, found);
  checkCustomData(event['custom_data'], event['event_name'], `${path}['custom_data']`, found);
  return found;
}

function checkName(event: Record<string, unknown>, path: string, found: Findings): void {
  const name = event['event_name'];
  if (typeof name === 'string' && name !== '') return;
  found.fault(`${path}['event_name']`, 'The parameter event_name is required.', 2_804_019);
}

function checkTime(
  event: Record<string, unknown>,
  path: string,
  nowMs: number,
  found: Findings,
): void {
  const time = event['event_time'];
  const at = `${path}['event_time']`;
  if (typeof time !== 'number' || !Number.isInteger(time)) {
    const wanted = 'event_time is required: a Unix timestamp in whole seconds.';
    found.fault(at, wanted, 2_804_019);
    return;
  }
  const ageSeconds = Math.floor(nowMs / 1000) - time;
  if (ageSeconds < -60) {
    const hint = time > 1e11 ? ' It looks like milliseconds; send seconds.' : '';
    found.fault(at, `The timestamp for this event is in the future.${hint}`, 2_804_019);
    return;
  }
  const maxDays = event['action_source'] === 'physical_store' ? 62 : 7;
  if (ageSeconds > maxDays * daySeconds) {
    found.fault(
      at,
      'The timestamp for this event is too far in the past. Events need to be sent from your ' +
        `server within ${maxDays} days of when they occurred.`,
      2_804_003,
      'Event Timestamp Too Old',
    );
    return;
  }
  if (ageSeconds >= daySeconds) found.warn('Sent 24 h or more after it happened.');
  else if (ageSeconds > 2 * 3600) found.warn('Sent more than 2 h after it happened.');
}

function checkActionSource(event: Record<string, unknown>, path: string, found: Findings): void {
  const source = event['action_source'];
  if (typeof source !== 'string' || !actionSources.includes(source)) {
    const wanted = `action_source is required and must be one of ${actionSources.join(', ')}.`;
    found.fault(`${path}['action_source']`, wanted, 2_804_019);
    return;
  }
  if (source === 'business_messaging' && event['messaging_channel'] === undefined) {
    const wanted = 'messaging_channel is required with action_source business_messaging.';
    found.fault(`${path}['messaging_channel']`, wanted, 2_804_019);
  }
  if (source !== 'website') return;
  if (event['event_source_url'] === undefined) {
    found.warn('A website event should have event_source_url (required by the documentation).');
  }
  const userData = event['user_data'];
  if (isRecord(userData) && userData['client_user_agent'] === undefined) {
    found.warn('A website event should have client_user_agent (required by the documentation).');
  }
}

function checkIdentityOfEvent(event: Record<string, unknown>, path: string, found: Findings): void {
  const eventId = event['event_id'];
  if (eventId === undefined || eventId === null) {
    found.warn("Without event_id the event cannot be deduplicated with the browser's copy.");
  } else if (typeof eventId !== 'string' || eventId === '') {
    found.fault(`${path}['event_id']`, 'event_id must be a non-empty string.', 2_804_019);
  }
  const optOut = event['opt_out'];
  if (optOut !== undefined && typeof optOut !== 'boolean') {
    found.fault(`${path}['opt_out']`, 'opt_out must be true or false.', 2_804_019);
  }
}

function checkUrls(event: Record<string, unknown>, path: string, found: Findings): void {
  for (const key of ['event_source_url', 'referrer_url']) {
    const url = event[key];
    if (url === undefined || url === null) continue;
    if (typeof url !== 'string' || !URL.canParse(url) || !/^https?:/i.test(url)) {
      found.fault(`${path}['${key}']`, `${key} must be an http or https URL.`, 2_804_019);
    } else if (/^(?:t|telegram)\.me$/i.test(new URL(url).hostname)) {
      found.warn(`${key} is a t.me link; it should be a page of the verified domain.`);
    }
  }
}

function checkProcessingOptions(
  event: Record<string, unknown>,
  path: string,
  found: Findings,
): void {
  const options = event['data_processing_options'];
  if (options === undefined) return;
  const isKnown = Array.isArray(options) && options.every((option) => option === 'LDU');
  if (!isKnown) {
    const wanted = 'data_processing_options must be [] or ["LDU"].';
    found.fault(`${path}['data_processing_options']`, wanted, 2_804_019);
  }
  const hasCountry = event['data_processing_options_country'] !== undefined;
  const hasState = event['data_processing_options_state'] !== undefined;
  if (hasCountry !== hasState) {
    const wanted = 'data_processing_options_country and _state belong together.';
    found.fault(`${path}['data_processing_options_country']`, wanted, 2_804_019);
  }
}
