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
/** Enough for no address to look like a burst. */
const visitors = 20_000;

const requests = Array.from({ length: visitors }, (_, visitor) => ({
  path: `/go/promo?fbclid=IwAR-bench_${visitor}&utm_source=FB&utm_campaign=Teste%7C120330000000000001&utm_medium=Conjunto%7C120330000000000002&utm_content=Anuncio%7C120330000000000003&utm_term=Instagram_Stories`,
  headers: visitorHeaders(visitor),
}));

/** @param limit seconds, or a number of requests. */
export async function closedLoop(
  origin: string,
  limit: { seconds: number } | { requests: number },
): Promise<ClosedLoop> {
  const result = await autocannon({
    url: origin,
    connections,
    requests,
    ...('seconds' in limit ? { duration: limit.seconds } : { amount: limit.requests }),
  });
  return {
    perSecond: result.requests.average,
    p99Ms: result.latency.p99,
    errors: result.non2xx + result.errors + result.timeouts,
  };
}
