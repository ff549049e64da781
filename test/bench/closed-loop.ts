/** As many pages as a server gives, with visitors who each wait for theirs: a closed loop. */
import autocannon from 'autocannon';
import { visitorHeaders } from '../support/click-generator.ts';

export interface ClosedLoop {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Answers other than 200, and none at all. */
  readonly errors: number;
}

const connections = 64;
/** Enough for no address to look like a burst, or to use up its allowance. */
const visitorsAConnection = 300;

const ad = new URLSearchParams({
  utm_source: 'FB',
  utm_campaign: 'Teste|120330000000000001',
  utm_medium: 'Conjunto|120330000000000002',
  utm_content: 'Anuncio|120330000000000003',
  utm_term: 'Instagram_Stories',
}).toString();

function requestsOf(connection: number): autocannon.Request[] {
  return Array.from({ length: visitorsAConnection }, (_, index) => {
    const visitor = connection * visitorsAConnection + index;
    const path = `/go/promo?fbclid=IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_${visitor}&${ad}`;
    return { path, headers: visitorHeaders(visitor) };
  });
}

/** @param limit seconds, or a number of requests. */
export async function closedLoop(
  origin: string,
  limit: { seconds: number } | { requests: number },
): Promise<ClosedLoop> {
  let connection = 0;
  const result = await autocannon({
    url: origin,
    connections,
    setupClient: (client) => client.setRequests(requestsOf(connection++)),
    ...('seconds' in limit ? { duration: limit.seconds } : { amount: limit.requests }),
  });
  return {
    perSecond: result.requests.average,
    p99Ms: result.latency.p99,
    errors: result.non2xx + result.errors + result.timeouts,
  };
}
