/** What is left of a journey once the visitors' addresses are too old to be kept. */
import type { Journey, Signals } from './journey.ts';

/** The same object where there is no address. */
export function withoutAddresses(journey: Journey): Journey {
  const { click, bridge, delivery } = journey;
  const hasAddress = [click?.clientIp, bridge?.clientIp, delivery?.clientIp].some((ip) => ip);
  if (!hasAddress) return journey;
  return {
    ...journey,
    click: click && { ...click, clientIp: null },
    bridge: bridge && withoutAddress(bridge),
    delivery: delivery && withoutAddress(delivery),
  };
}

function withoutAddress(signals: Signals): Signals {
  return { ...signals, clientIp: null };
}
