/** What Meta complains of in a pixel's server events, by the names that Events Manager shows. */
import { isIPv4 } from 'node:net';
import { plainText } from './findings.ts';
import type { EventCopy, EventGroup } from './store.ts';

export interface Diagnostic {
  name: string;
  description: string;
  solution: string;
  percentage: number;
  affected_event_count: number;
  total_event_count: number;
}

interface Rule extends Pick<Diagnostic, 'name' | 'description' | 'solution'> {
  readonly isAffected: (copy: EventCopy, group: EventGroup) => boolean;
}

const ipOf = ({ userData }: EventCopy): string => plainText(userData['client_ip_address']);

const rules: readonly Rule[] = [
  {
    name: 'Update your IPv4 IP addresses to IPv6 IP addresses',
    description: 'Your server sends IPv4 addresses where IPv6 would be more durable.',
    solution: 'Let your site be reached over IPv6 and send the client_ip_address of the visitor.',
    isAffected: (copy) => isIPv4(ipOf(copy)),
  },
  {
    name: 'Server sending mismatched IP addresses',
    description: 'Your server sends client IP addresses that do not match those of the Meta Pixel.',
    solution: 'Send the client_ip_address of the visitor, not that of a proxy or a server.',
    isAffected: (copy, { browser }) =>
      ipOf(copy) !== '' && browser.length > 0 && !browser.some((one) => ipOf(one) === ipOf(copy)),
  },
  {
    name: 'Server sending modified fbclid value in fbc parameter',
    description: 'The fbclid within fbc is not the one of the page that the event came from.',
    solution: 'Keep the fbclid byte for byte: not in lower case, not trimmed, not cut.',
    isAffected: ({ warnings }) => warnings.some((warning) => /modified fbclid/.test(warning)),
  },
  {
    name: 'Server not sending Click ID (fbc)',
    description: 'Events from an ad click arrive without its click id.',
    solution: 'Make fbc from the fbclid of the landing page and send it with every event.',
    isAffected: ({ eventSourceUrl, matchKeys }) =>
      /[?&]fbclid=/.test(eventSourceUrl ?? '') && !matchKeys.includes('fbc'),
  },
  {
    name: 'Same Event ID Received for Many Event Instances',
    description: 'Several events arrived with one event_id.',
    solution: 'Give each event an event_id of its own, and send each once.',
    isAffected: (copy, { server }) => copy.eventId !== null && server[0] !== copy,
  },
];

/** Only of the rules that at least one event breaks. */
export function diagnosticsOf(
  groups: readonly EventGroup[],
  server: readonly EventCopy[],
): Diagnostic[] {
  return rules.flatMap(({ isAffected, ...words }) => {
    const affected = groups.flatMap((group) =>
      group.server.filter((copy) => isAffected(copy, group)),
    ).length;
    if (affected === 0) return [];
    const percentage = Math.round((affected / server.length) * 1_000) / 10;
    const counts = { affected_event_count: affected, total_event_count: server.length };
    return [{ ...words, percentage, ...counts }];
  });
}
