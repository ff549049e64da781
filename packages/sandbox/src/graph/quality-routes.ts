import type { FastifyInstance } from 'fastify';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { Faults } from '../faults/rules.ts';
import type { WorldHolder } from '../world.ts';
import { checkAccess, checkVersion, tokenOf } from './access.ts';
import { createTraceId, type GraphError, graphErrorAnswer, graphFaultBody } from './errors.ts';
import { pickFields, readFields, type Shape } from './field-expansion.ts';
import { plainText } from './findings.ts';
import { webQuality } from './quality.ts';
import type { GraphStore } from './store.ts';

const share: Shape = { percentage: null, description: null };

/** Meta's table of fields calls one of them `dedup_key_feedback`; there is no such field. */
const shape: Shape = {
  web: {
    event_name: null,
    event_match_quality: {
      composite_score: null,
      match_key_feedback: {
        identifier: null,
        coverage: share,
        potential_aly_acr_increase: share,
      },
      diagnostics: {
        name: null,
        description: null,
        solution: null,
        percentage: null,
        affected_event_count: null,
        total_event_count: null,
      },
    },
    event_coverage: { ...share, goal_percentage: null, potential_aly_acr_increase: share },
    dedupe_key_feedback: {
      dedupe_key: null,
      browser_events_with_dedupe_key: share,
      server_events_with_dedupe_key: share,
      overall_browser_coverage_from_dedupe_key: share,
    },
    data_freshness: { upload_frequency: null, description: null },
    acr: share,
    event_potential_aly_acr_increase: share,
  },
};

interface QualityRoute {
  Params: { version: string };
  Querystring: Record<string, unknown>;
}

/**
 * `GET /graph/vNN.0/dataset_quality?dataset_id=…&fields=web{…}`. A token that may only send is a
 * fault: `{api: 'graph', match: {method: 'GET', path: '/dataset_quality'}, action: {status: 403,
 * code: 200}}`.
 * @see Meta, "Dataset Quality API"
 */
export function registerQualityRoute(
  app: FastifyInstance,
  parts: { world: WorldHolder; store: GraphStore; faults: Faults },
): void {
  const { world, store, faults } = parts;
  app.get<QualityRoute>('/:version/dataset_quality', async (request, reply) => {
    const { query, url } = request;
    const { version } = request.params;
    const pixelId = plainText(query['dataset_id']);
    const fault = faults.strike('graph', { method: 'GET', path: url, pixelId });
    await answerWith(reply, fault, graphFaultBody, (): Answer => {
      const error =
        checkVersion(version, '/dataset_quality') ??
        checkDataset(pixelId) ??
        checkAccess(
          { token: tokenOf(request, query), pixelId, method: 'get' },
          world.current.pixels,
        );
      if (error !== null) return graphErrorAnswer(error, createTraceId());
      const read = readFields(plainText(query['fields'] ?? 'web'), shape);
      if ('error' in read) return graphErrorAnswer(read.error, createTraceId());
      const agentName = query['agent_name'] === undefined ? null : plainText(query['agent_name']);
      const web = webQuality(store.groups({ pixelId }), { agentName, nowMs: Date.now() });
      return { status: 200, body: pickFields({ web }, read.fields) };
    });
    return reply;
  });
}

function checkDataset(pixelId: string): GraphError | null {
  if (/^\d+$/.test(pixelId)) return null;
  return { status: 400, code: 100, message: '(#100) The parameter dataset_id is required' };
}
