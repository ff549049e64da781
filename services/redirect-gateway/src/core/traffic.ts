/** Who seems to be asking, with the reasons; everybody gets the same page. */
import type { DataOf } from '@rastro/events';

export interface RequestTraits {
  readonly method: string;
  readonly userAgent: string | null;
  readonly isKnownBot: boolean;
  /** `Sec-Purpose`, or one of its predecessors. */
  readonly purpose: string | null;
}

export type Classification = Pick<DataOf<'ClickTracked'>, 'trafficClass' | 'classReasons'>;

// Programs that show a card for a link that somebody has posted.
const linkPreview =
  /facebookexternalhit|facebookcatalog|facebot|whatsapp|telegrambot|twitterbot|slackbot|discordbot|linkedinbot|skypeuripreview|pinterestbot|vkshare|viber|applebot.*preview/i;

/** The first rule that applies names the class; all that apply are told as reasons. */
export function classify(traits: RequestTraits): Classification {
  const { method, userAgent, isKnownBot, purpose } = traits;
  const isPreviewBot = userAgent !== null && linkPreview.test(userAgent);
  const rules = [
    [purpose !== null && /prefetch|prerender/i.test(purpose), 'prefetch', 'purpose_prefetch'],
    [purpose !== null && /preview/i.test(purpose), 'preview', 'purpose_preview'],
    [isPreviewBot, 'preview', 'link_preview_agent'],
    [isKnownBot && !isPreviewBot, 'bot', 'known_bot_agent'],
    [method === 'HEAD', 'bot', 'head_request'],
    [userAgent === null, 'unknown', 'no_user_agent'],
  ] as const;
  const met = rules.filter(([isMet]) => isMet);
  return {
    trafficClass: met[0]?.[1] ?? 'human',
    classReasons: met.map(([, , reason]) => reason),
  };
}
