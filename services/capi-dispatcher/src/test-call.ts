/** One call to Meta on an operator's request, made and read as the dispatcher makes and reads its own. */
import { newId, sha256Hex } from '@rastro/runtime';
import { createGraph, type GraphOptions } from './adapters/graph.ts';
import { classify, type Outcome } from './core/outcome.ts';
import { redactedReply } from './core/redaction.ts';
import { requestBody, type ServerEvent } from './core/server-event.ts';

export interface TestCall {
  readonly pixelId: string;
  readonly token: string;
  /** From Events Manager, "Test events". Meta counts the event all the same. */
  readonly testEventCode: string;
  /** Of the pool's link. */
  readonly eventSourceUrl: string;
}

/** Sends one PageView of nobody; never throws, and what it returns does not hold the token. */
export async function callMeta(
  options: Omit<GraphOptions, 'timeoutMs'>,
  { pixelId, token, testEventCode, eventSourceUrl }: TestCall,
): Promise<Outcome> {
  const id = newId();
  const event: ServerEvent = {
    event_name: 'PageView',
    event_time: Math.floor(Date.now() / 1_000),
    event_id: `test_${id}`,
    action_source: 'website',
    event_source_url: eventSourceUrl,
    user_data: { client_user_agent: 'rastro doctor', external_id: [sha256Hex(id)] },
    data_processing_options: [],
  };
  await using graph = createGraph({ ...options, timeoutMs: 5_000 });
  const bodies = [JSON.stringify(event)];
  const body = requestBody(bodies, testEventCode);
  const reply = await graph.send({ pixelId, token, body });
  return classify(redactedReply(reply, { bodies, token }), 1);
}
