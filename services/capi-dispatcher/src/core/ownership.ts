/** Whose a tracking token is. */
import type { Consumed } from './consumed.ts';

/**
 * A token belongs to one workspace. Where another one names it, as a program of its own may do, its
 * payment is reported without the click: nobody's visitors end at somebody else's pixel.
 */
export function withoutStrangersToken(
  event: Consumed,
  found: ReadonlyMap<string, { readonly workspaceId: string }>,
): Consumed[] {
  const { trackingToken } = event.data;
  const owner = trackingToken === null ? undefined : found.get(trackingToken)?.workspaceId;
  if (owner === undefined || owner === event.workspaceid) return [event];
  if (event.type === 'ClickTracked' || event.type === 'BrowserSignalsCaptured') return [];
  return [{ ...event, data: { ...event.data, trackingToken: null } } as Consumed];
}
