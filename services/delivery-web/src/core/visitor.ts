/** Whether a request for the page comes from a person who is looking at it. */

export interface RequestTraits {
  readonly method: string;
  readonly isKnownBot: boolean;
  readonly userAgent: string | null;
  /** `Sec-Purpose`, or one of its predecessors. */
  readonly purpose: string | null;
}

/**
 * `bot`: a program, a link preview or nobody who says a name; gets the page without the Pixel.
 * `prefetch`: a browser ahead of its user, who may come or not; gets the whole page, is not counted.
 */
export type Visitor = 'person' | 'prefetch' | 'bot';

export function visitorOf({ method, isKnownBot, userAgent, purpose }: RequestTraits): Visitor {
  if (method !== 'GET' || isKnownBot || !userAgent) return 'bot';
  if (purpose !== null && /prefetch|prerender|preview/i.test(purpose)) return 'prefetch';
  return 'person';
}
