/** A click: its identity, minted once, and the event that tells of it. */
import { adReferenceOf, type CatalogItem, type DataOf, type EventBody } from '@rastro/events';
import { type AgentFacts, classify, type HeaderTraits, type RequestTraits } from '@rastro/traffic';
import { type LinkParameters, linkParameters, type Query } from './link-parameters.ts';
import { fbclidIn, fbcOf, fbpOf } from './meta-cookies.ts';
import { boundedText } from './text.ts';

/** A request for a pool's page, as the HTTP edge saw it. */
export interface Visit {
  readonly traits: HeaderTraits;
  /** Path and query, undecoded. */
  readonly url: string;
  readonly query: Query;
  readonly referrer: string | null;
  /** Null when it is no public address. */
  readonly clientIp: string | null;
  readonly language: string | null;
  readonly cookies: Readonly<Record<string, string | undefined>>;
}

/** What an edge draws and measures for each click, so that the core stays pure. */
export interface Mint {
  /** A UUID v4 as 32 hex digits. */
  readonly trackingToken: string;
  /** A UUID, for a visitor who has none. */
  readonly visitorId: string;
  readonly nowMs: number;
  /** `nowMs` as ISO 8601. */
  readonly time: string;
  /** In [0, 1). */
  readonly random: number;
}

/** Lower-case hex digests of UTF-8 text. */
export interface Hashes {
  readonly sha256: (text: string) => string;
  readonly md5: (text: string) => string;
}

export interface Site {
  readonly publicOrigin: string;
  /** Of Meta's cookies: the labels of the cookies' domain less one. */
  readonly subdomainIndex: number;
}

export type Identity = Pick<
  DataOf<'ClickTracked'>,
  'trackingToken' | 'rootEventId' | 'visitorId' | 'fbclid' | 'fbc' | 'fbp' | 'externalIds'
>;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const visitorCookie = 'rastro_vid';

export function mintIdentity(visit: Visit, site: Site, mint: Mint, hashes: Hashes): Identity {
  const { cookies, url, referrer } = visit;
  const { subdomainIndex } = site;
  const { trackingToken, nowMs, random } = mint;
  const fbclid = fbclidIn(url) ?? fbclidIn(referrer);
  const known = cookies[visitorCookie];
  const visitorId = known !== undefined && uuid.test(known) ? known : mint.visitorId;
  return {
    trackingToken,
    rootEventId: `evt_${trackingToken}`,
    visitorId,
    fbclid,
    fbc: fbcOf({ fbclid, cookie: cookies['_fbc'], subdomainIndex, nowMs }),
    fbp: fbpOf({ cookie: cookies['_fbp'], subdomainIndex, nowMs, random }),
    externalIds: externalIdsOf(fbclid, visitorId, hashes),
  };
}

/** Meta's `external_id`: one list for the Pixel and for the server, already hashed. */
function externalIdsOf(fbclid: string | null, visitorId: string, hashes: Hashes): string[] {
  const click = fbclid === null ? [] : [fbclid.length > 80 ? hashes.md5(fbclid) : fbclid];
  return [...click, visitorId].map(hashes.sha256);
}

type Pool = CatalogItem<'pool'>;

/** Without a place to ask, a pool that needs consent has it from nobody. */
export function consentOf(pool: Pick<Pool, 'consent'>): DataOf<'ClickTracked'>['consent'] {
  return pool.consent === 'not_required' ? 'not_required' : 'unknown';
}

export function clickTracked(parts: {
  readonly visit: Visit;
  readonly site: Site;
  readonly pool: Pool;
  readonly botId: string;
  readonly identity: Identity;
  readonly clickedAt: string;
  /** Clicks from the visitor's public address within the burst window, with this one. */
  readonly recentFromAddress: number;
  readonly agentFacts: (userAgent: string) => AgentFacts;
}): EventBody<'ClickTracked'> {
  const { visit, site, pool, botId, identity, clickedAt, recentFromAddress, agentFacts } = parts;
  const link: LinkParameters = linkParameters(visit.query, pool.gate.param);
  const traits: RequestTraits = { ...visit.traits, recentFromAddress };
  const { userAgent, ...shown } = traits;
  return {
    type: 'ClickTracked',
    data: {
      ...identity,
      poolId: pool.id,
      slug: pool.slug,
      botId,
      pixelId: pool.meta.pixelId,
      clickedAt,
      landingUrl: boundedText(`${site.publicOrigin}${visit.url}`, 4096) ?? site.publicOrigin,
      referrer: boundedText(visit.referrer, 2048),
      clientIp: visit.clientIp,
      userAgent,
      language: boundedText(visit.language, 64),
      ...link,
      ad: adReferenceOf(link.utm),
      ...classify(traits, agentFacts),
      traits: shown,
      consent: consentOf(pool),
    },
  };
}
