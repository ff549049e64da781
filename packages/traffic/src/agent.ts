/** What a user agent says of itself. */
import { isbot } from 'isbot';

export interface AgentFacts {
  /** A program that shows a card for a link that somebody has posted. */
  readonly isLinkPreview: boolean;
  /** On isbot's list of crawlers, monitors, libraries and headless browsers. */
  readonly isKnownBot: boolean;
  /** Claims an engine whose ways are known: Chrome from 80 on, or Safari's WebKit. */
  readonly isKnownEngine: boolean;
}

const linkPreview =
  /facebookexternalhit|facebookcatalog|facebot|whatsapp|telegrambot|twitterbot|slackbot|discordbot|linkedinbot|skypeuripreview|pinterestbot|vkshare|viber|applebot.*preview/i;

/** Costs some microseconds, most of them in isbot's pattern; the same text, the same answer. */
export function agentFacts(userAgent: string): AgentFacts {
  return {
    isLinkPreview: linkPreview.test(userAgent),
    isKnownBot: isbot(userAgent),
    isKnownEngine: claimsKnownEngine(userAgent),
  };
}

/** In-app browsers of iOS say `Mobile/` where Safari itself says `Safari/`. */
function claimsKnownEngine(userAgent: string): boolean {
  const chrome = /Chrome\/(\d+)/.exec(userAgent)?.[1];
  if (chrome !== undefined) return Number(chrome) >= 80;
  return userAgent.includes('AppleWebKit/') && /Safari\/|Mobile\//.test(userAgent);
}
