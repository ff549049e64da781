/** Asks Meta itself, on request: with a code of "Test events", for Meta counts the event. */
import { callMeta } from '@rastro/capi-dispatcher/test-call';
import type { Owned } from '@rastro/messaging';
import { failed, type Finding, ok } from './finding.ts';
import { type MetaFacts, tokenLine, tokenOf } from './meta.ts';

export interface TestCallOptions {
  readonly graph: { readonly url: string; readonly version: string };
  readonly testEventCode: string;
  readonly publicOrigin: string;
}

type Outcome = Awaited<ReturnType<typeof callMeta>>;

/** One call for each pixel and token, however many pools share them: each of them counts. */
export function createMetaCheck(
  facts: Pick<MetaFacts, 'catalog' | 'open'>,
  { graph, testEventCode, publicOrigin }: TestCallOptions,
): (pool: Owned<'pool'>) => Promise<Finding[]> {
  const calls = new Map<string, Promise<Outcome>>();
  return async (pool) => {
    const { meta, slug, id } = pool.item;
    const { token } = tokenOf(pool, facts);
    const { pixelId } = meta;
    // What is missing or off was told of already.
    if (!meta.enabled || pixelId === null || token === null) return [];
    const key = `${pixelId} ${token}`;
    const eventSourceUrl = `${publicOrigin}/go/${slug}`;
    const call =
      calls.get(key) ?? callMeta(graph, { pixelId, token, testEventCode, eventSourceUrl });
    calls.set(key, call);
    return [judgeOutcome(id, await call, graph.url)];
  };
}

export function judgeOutcome(poolId: string, outcome: Outcome, graphUrl: string): Finding {
  const about = { check: 'test call', subject: `pool ${poolId}` };
  const { kind, reason, fbtraceId } = outcome;
  const trace = fbtraceId === null ? '' : ` (fbtrace_id ${fbtraceId})`;
  switch (kind) {
    case 'accepted':
      return ok(about, `Meta took the PageView${trace}; see Events Manager → Test events`);
    case 'parked':
      return failed(about, `Meta refuses token or pixel: ${reason}${trace}`, tokenLine(poolId));
    case 'throttled':
    case 'transient':
      return failed(about, `Meta takes no calls now: ${reason}${trace}`, 'ask again in a minute');
    case 'unknown':
      return failed(about, `no answer that says anything: ${reason}${trace}`, address(graphUrl));
    case 'rejected':
      return failed(
        about,
        `Meta finds fault with the test itself: ${reason}${trace}`,
        address(graphUrl),
      );
  }
}

const address = (url: string): string =>
  `check that META_GRAPH_URL (${url}) is Meta, that META_GRAPH_VERSION still is, and what the firewall lets out`;
