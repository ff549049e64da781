/** One report of the Pixel (`/tr?id=…&ev=…`) as an event copy. */
import { createCopyId, type EventCopy } from '../graph/store.ts';
import type { WorldPixel } from '../world.ts';

export interface Reporter {
  ip: string;
  userAgent: string;
  nowMs: number;
}

/** Null where the report names no pixel or no event. */
export function readReport(
  fields: URLSearchParams,
  reporter: Reporter,
  pixels: readonly WorldPixel[],
): EventCopy | null {
  const pixelId = fields.get('id');
  const eventName = fields.get('ev');
  if (!pixelId || !eventName) return null;
  const customData = collect(fields, 'cd');
  const userData: Record<string, unknown> = {
    client_ip_address: reporter.ip.replace(/^::ffff:/, ''),
    client_user_agent: reporter.userAgent,
    ...collect(fields, 'ud'),
  };
  for (const key of ['fbp', 'fbc']) {
    const value = fields.get(key);
    if (value) userData[key] = value;
  }
  const value = customData['value'] === undefined ? null : Number(customData['value']);
  if (value !== null) customData['value'] = value;
  const eventId = fields.get('eid');
  return {
    id: createCopyId(),
    source: 'browser',
    pixelId,
    eventName,
    eventId,
    receivedAtMs: reporter.nowMs,
    eventTime: null,
    actionSource: 'website',
    eventSourceUrl: fields.get('dl'),
    value,
    currency: typeof customData['currency'] === 'string' ? customData['currency'] : null,
    matchKeys: Object.keys(userData),
    userData,
    customData,
    testEventCode: null,
    partnerAgent: null,
    warnings: warningsOf(pixelId, eventName, eventId, value, customData, pixels),
    requestId: null,
    raw: rawOf(fields),
  };
}

function warningsOf(
  pixelId: string,
  eventName: string,
  eventId: string | null,
  value: number | null,
  customData: Record<string, unknown>,
  pixels: readonly WorldPixel[],
): string[] {
  const warnings: string[] = [];
  if (!pixels.some((pixel) => pixel.id === pixelId)) warnings.push('No such pixel exists.');
  if (eventId === null) warnings.push('The Pixel call has no eventID: it cannot be deduplicated.');
  if (eventName === 'Purchase' && (value === null || !customData['currency'])) {
    warnings.push('Purchase without value or currency.');
  }
  return warnings;
}

/** `ud[x]=a&ud[x]=b` → `{x: ['a', 'b']}`; a single value stays plain. */
function collect(fields: URLSearchParams, prefix: string): Record<string, unknown> {
  const named = Object.entries(rawOf(fields)).flatMap(([name, value]) => {
    const key = new RegExp(`^${prefix}\\[(.+)\\]$`).exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(named);
}

function rawOf(fields: URLSearchParams): Record<string, unknown> {
  const named = [...new Set(fields.keys())].map((name) => {
    const values = fields.getAll(name);
    return [name, values.length > 1 ? values : values[0]] as const;
  });
  return Object.fromEntries(named);
}
