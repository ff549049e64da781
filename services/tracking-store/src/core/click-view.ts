/**
 * A click by today's rules. What its class was drawn from is in the event, and its ad is in the
 * link's parameters, so that a rule that changes reaches history with a rebuild.
 */
import { type AdReference, adReferenceOf, type DataOf } from '@rastro/events';
import { classify } from '@rastro/traffic';

type Click = DataOf<'ClickTracked'>;

/** The event's own class where the event does not say what it was drawn from. */
export function classOf(click: Click): Pick<Click, 'trafficClass' | 'classReasons'> {
  const { traits, userAgent, trafficClass, classReasons } = click;
  return traits ? classify({ ...traits, userAgent }) : { trafficClass, classReasons };
}

export function clickView(click: Click): Click & { readonly ad: AdReference } {
  return { ...click, ...classOf(click), ad: adReferenceOf(click.utm) };
}
