import Type from 'typebox';
import { AdReference } from './ad-reference.ts';
import { defineEvent } from './definition.ts';
import {
  CatalogId,
  Nullable,
  OneOf,
  PixelId,
  Sha256,
  Text,
  Timestamp,
  TrackingToken,
  Uuid,
} from './scalars.ts';

/** Who seems to have clicked; only `human` is counted and told to Meta. */
const TrafficClass = OneOf('human', 'bot', 'preview', 'prefetch', 'unknown');

/** Whether data may be shared; `denied` and `unknown` are never sent to Meta. */
const Consent = OneOf('not_required', 'granted', 'denied', 'unknown');

const Utm = Type.Object({
  source: Nullable(Text(512)),
  medium: Nullable(Text(512)),
  campaign: Nullable(Text(512)),
  content: Nullable(Text(512)),
  term: Nullable(Text(512)),
});

/**
 * What the class was drawn from, as packages/traffic reads it; the user agent stands beside it.
 * Traits that are added later have to be optional.
 */
const Traits = Type.Object({
  method: Text(16),
  /** `Sec-Purpose` and its predecessors. */
  purpose: Nullable(Text(128)),
  accept: Nullable(Text(256)),
  /** Whether `Accept-Language` was sent. */
  hasLanguage: Type.Boolean(),
  fetchSite: Nullable(Text(32)),
  fetchMode: Nullable(Text(32)),
  fetchDest: Nullable(Text(32)),
  /** Whether `Sec-CH-UA` was sent. */
  hasClientHints: Type.Boolean(),
  /** `X-Requested-With`: an Android web view names its app by it. */
  requestedWith: Nullable(Text(128)),
  /** Clicks from the same public address within 10 s, with this one; 0 without such an address. */
  recentFromAddress: Type.Integer({ minimum: 0 }),
});

export const ClickTracked = defineEvent({
  type: 'ClickTracked',
  version: 1,
  aggregate: 'click',
  producers: ['redirect-gateway'],
  summary: 'A visitor opened an ad link and was handed to a bot.',
  data: Type.Object({
    trackingToken: TrackingToken,
    /** `evt_<trackingToken>`: the event id of both PageView copies. */
    rootEventId: Type.String({ pattern: '^evt_[0-9a-f]{32}$' }),
    poolId: CatalogId,
    slug: CatalogId,
    botId: CatalogId,
    pixelId: Nullable(PixelId),
    clickedAt: Timestamp,
    /** The URL as the visitor opened it, on the public origin. */
    landingUrl: Text(4096),
    referrer: Nullable(Text(2048)),
    /** Byte for byte as it stood in the URL. */
    fbclid: Nullable(Text(500)),
    fbc: Nullable(Text(600)),
    fbp: Text(200),
    /** First-party visitor id from our own cookie. */
    visitorId: Uuid,
    /** Meta's `external_id`, already hashed, the same list on Pixel and server. */
    externalIds: Type.Array(Sha256, { maxItems: 8 }),
    clientIp: Nullable(Text(45)),
    userAgent: Nullable(Text(1024)),
    language: Nullable(Text(64)),
    utm: Utm,
    src: Nullable(Text(512)),
    sck: Nullable(Text(512)),
    /** Further query parameters, at most 32. */
    params: Type.Record(Type.String({ maxLength: 64 }), Text(512)),
    trafficClass: TrafficClass,
    classReasons: Type.Array(Text(64), { maxItems: 16 }),
    consent: Consent,
    traits: Type.Optional(Traits),
    /** From the UTM parameters, as adReferenceOf splits them. */
    ad: Type.Optional(AdReference),
  }),
});

export const ClickRefused = defineEvent({
  type: 'ClickRefused',
  version: 1,
  aggregate: 'click',
  producers: ['redirect-gateway'],
  summary: "The gate refused a request that lacked the ad link's own parameter.",
  data: Type.Object({
    refusalId: Uuid,
    poolId: CatalogId,
    slug: CatalogId,
    reason: OneOf('gate_parameter_missing', 'gate_parameter_wrong'),
    refusedAt: Timestamp,
  }),
});
