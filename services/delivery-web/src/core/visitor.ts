/** Whether a request for the page comes from a person who is looking at it. */
import { classify, type ClassReason, type HeaderTraits } from '@rastro/traffic';

/**
 * `bot`: a program, a link preview or nobody who says a name; gets the page without the Pixel.
 * `prefetch`: a browser ahead of its user, who may come or not; gets the page without
 * the Pixel, which asks for itself again when it is shown, and is not counted.
 */
export type Visitor = 'person' | 'prefetch' | 'bot';

const programs = new Set<ClassReason>([
  'known_bot_agent',
  'link_preview_agent',
  'head_request',
  'no_user_agent',
]);
const aheadOfUsers = new Set<ClassReason>(['purpose_prefetch', 'purpose_preview']);

/**
 * Milder than for an ad's link: the address is a secret that only the customer has, so a request
 * that merely looks odd is the customer's, and its purchase must not go untold.
 */
export function visitorOf(traits: HeaderTraits): Visitor {
  const { classReasons } = classify({ ...traits, recentFromAddress: 0 });
  if (classReasons.some((reason) => programs.has(reason))) return 'bot';
  return classReasons.some((reason) => aheadOfUsers.has(reason)) ? 'prefetch' : 'person';
}
