/** Who seems to be asking, with the reasons; everybody gets the same page. */
import { type AgentFacts, agentFacts } from './agent.ts';
import type { RequestTraits } from './traits.ts';

export type TrafficClass = 'human' | 'bot' | 'preview' | 'prefetch' | 'unknown';

export const burstWindowMs = 10_000;

/**
 * More from one address within the window are not people, whatever their headers say. Behind one
 * address of a carrier's NAT stand some thousand phones; 12 clicks a second, 40,000 an hour, is
 * what all of an ad's peak would have to bring to that one address alone.
 */
export const burstClicks = 120;

interface Rule {
  readonly reason: string;
  readonly trafficClass: Exclude<TrafficClass, 'human'>;
  readonly isMet: (traits: RequestTraits, agent: AgentFacts) => boolean;
}

/**
 * The first that is met names the class.
 *
 * A person who is taken for a program is a sale that Meta never hears of, so only what no browser
 * does is held against a request. Not held against it, though many would: Chrome without
 * `Sec-Fetch-*`, and a missing `Accept-Language` alone. Both happen to people whose app opens the
 * page in an Android web view and fetches it by itself (`shouldInterceptRequest` is not told these
 * headers), and the first to everybody over plain http.
 */
const rules = [
  {
    reason: 'purpose_prefetch',
    trafficClass: 'prefetch',
    isMet: ({ purpose }) => purpose !== null && /prefetch|prerender/i.test(purpose),
  },
  {
    // Facebook's app fetches an ad's page before the tap, with the web view's own user agent.
    reason: 'purpose_preview',
    trafficClass: 'preview',
    isMet: ({ purpose }) => purpose !== null && /preview/i.test(purpose),
  },
  {
    reason: 'link_preview_agent',
    trafficClass: 'preview',
    isMet: (_traits, { isLinkPreview }) => isLinkPreview,
  },
  {
    reason: 'known_bot_agent',
    trafficClass: 'bot',
    isMet: (_traits, { isKnownBot, isLinkPreview }) => isKnownBot && !isLinkPreview,
  },
  { reason: 'head_request', trafficClass: 'bot', isMet: ({ method }) => method === 'HEAD' },
  {
    reason: 'no_user_agent',
    trafficClass: 'unknown',
    isMet: ({ userAgent }) => userAgent === null,
  },
  {
    reason: 'missing_headers',
    trafficClass: 'unknown',
    isMet: ({ accept, hasLanguage }) => accept === null && !hasLanguage,
  },
  {
    // Every engine names text/html when a person opens an address; `*/*` is a library's.
    reason: 'accept_without_html',
    trafficClass: 'unknown',
    isMet: ({ accept }, { isKnownEngine }) => isKnownEngine && !/text\/html/i.test(accept ?? ''),
  },
  {
    // The browser itself says that it fills a frame, an image, or a script's fetch.
    reason: 'not_a_navigation',
    trafficClass: 'unknown',
    isMet: ({ fetchDest }) => (fetchDest ?? 'document') !== 'document',
  },
  {
    reason: 'address_burst',
    trafficClass: 'unknown',
    isMet: ({ recentFromAddress }) => recentFromAddress > burstClicks,
  },
] as const satisfies readonly Rule[];

export type ClassReason = (typeof rules)[number]['reason'];

export interface Classification {
  readonly trafficClass: TrafficClass;
  /** All that apply, the one that named the class first; none for a human. */
  readonly classReasons: ClassReason[];
}

const noAgent: AgentFacts = { isLinkPreview: false, isKnownBot: false, isKnownEngine: false };

/** @param factsOf `agentFacts`, or something that remembers its answers. */
export function classify(
  traits: RequestTraits,
  factsOf: (userAgent: string) => AgentFacts = agentFacts,
): Classification {
  const agent = traits.userAgent === null ? noAgent : factsOf(traits.userAgent);
  const met = rules.filter(({ isMet }) => isMet(traits, agent));
  return {
    trafficClass: met[0]?.trafficClass ?? 'human',
    classReasons: met.map(({ reason }) => reason),
  };
}
