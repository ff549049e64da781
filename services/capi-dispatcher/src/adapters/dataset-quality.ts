/** One question to Meta's Dataset Quality API, with every way it can end as a value. */
import { Agent, request } from 'undici';
import { qualityFields } from '../core/dataset-quality.ts';
import type { Reply } from '../core/outcome.ts';
import { failureOf, type GraphOptions, waitOf } from './graph.ts';

export interface QualityApi extends AsyncDisposable {
  /** `GET /{version}/dataset_quality`; never throws. */
  read(question: { pixelId: string; token: string; signal: AbortSignal }): Promise<Reply>;
}

/** Connections of its own: a slow answer here takes no place from what is sent. */
export function createQualityApi({ url, version, timeoutMs }: GraphOptions): QualityApi {
  const agent = new Agent({
    connections: 2,
    connect: { timeout: Math.ceil(timeoutMs / 2) },
    maxResponseSize: 1_048_576,
  });
  return {
    async read({ pixelId, token, signal }) {
      const query = new URLSearchParams({ dataset_id: pixelId, fields: qualityFields });
      try {
        const response = await request(`${url}/${version}/dataset_quality?${query.toString()}`, {
          headers: { authorization: `Bearer ${token}` },
          dispatcher: agent,
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        });
        const body = await response.body.text();
        const waitMs = waitOf(response.headers);
        return { kind: 'answered', status: response.statusCode, body, waitMs };
      } catch (error) {
        return failureOf(error);
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}
