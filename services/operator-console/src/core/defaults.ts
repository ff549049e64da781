/** What an operator may leave out of the catalog file, per kind. */
import type { CatalogKind } from '@rastro/events';

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Only what is absent is filled in; a wrong value stays, for validation to name it. */
function fill(defaults: Fields, given: unknown): unknown {
  if (given === undefined) return defaults;
  return isFields(given) ? { ...defaults, ...given } : given;
}

const each = (list: unknown, complete: (item: unknown) => unknown): unknown =>
  Array.isArray(list) ? list.map(complete) : list;

const complete: Record<CatalogKind, (given: Fields) => Fields> = {
  account: (given) => ({ apiUrl: null, credentials: {}, checkoutNotice: null, ...given }),
  product: (given) => ({ accessUrl: null, ...given }),
  funnel: (given) => ({
    ...given,
    steps: each(given['steps'], (step) => completeStep(step)),
    ...(given['followUps'] === undefined
      ? {}
      : { followUps: each(given['followUps'], (one) => fill(anyFollowUp, one)) }),
    ...(given['quietHours'] === undefined
      ? {}
      : { quietHours: fill({ utcOffsetMinutes: -180 }, given['quietHours']) }),
    ...(given['privacy'] === undefined
      ? {}
      : { privacy: fill({ policyUrl: null }, given['privacy']) }),
  }),
  bot: (given) => ({ runtime: 'managed', enabled: true, ...given }),
  pool: (given) => ({
    strategy: 'round_robin',
    fallbackUrl: null,
    consent: 'not_required',
    ...given,
    bots: each(given['bots'], (bot) => fill({ weight: 1, priority: 0 }, bot)),
    gate: fill({ enabled: false, param: 'grim', value: '' }, given['gate']),
    utmify: fill({ pixelId: null }, given['utmify']),
    meta: completeMeta(given['meta']),
  }),
};

const anyFollowUp = { step: null, product: null, afterMinutes: 0 };

function completeStep(given: unknown): unknown {
  const step = fill({ buttons: [] }, given);
  if (!isFields(step) || step['branches'] === undefined) return step;
  return { ...step, branches: each(step['branches'], (branch) => fill({ product: null }, branch)) };
}

function completeMeta(given: unknown): unknown {
  const meta = fill(
    {
      enabled: isFields(given),
      pixelId: null,
      accessToken: null,
      testEventCode: null,
      purchaseTrigger: 'delivery',
      purchaseGraceMinutes: 10,
      pageViewHoldMs: 2_000,
    },
    given,
  );
  if (!isFields(meta)) return meta;
  return { ...meta, events: fill({ pageView: true, purchase: true }, meta['events']) };
}

/** A copy of what the operator wrote with everything filled in that may be left out. */
export function withDefaults(kind: CatalogKind, given: unknown): unknown {
  return isFields(given) ? complete[kind](given) : given;
}
